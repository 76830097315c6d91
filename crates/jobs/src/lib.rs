//! What may wait: finalising recordings, salvage, clips.
