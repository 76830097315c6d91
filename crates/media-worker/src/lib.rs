//! The worker process: GStreamer turns files into packet caches and spools into files that browsers play.
