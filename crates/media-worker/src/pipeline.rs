//! Small helpers around GStreamer pipelines.

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::error::JobError;

/// A pipeline that is torn down with its owner, however that ends.
pub(crate) struct Running(pub gst::Pipeline);

impl Drop for Running {
    fn drop(&mut self) {
        // Going to NULL cannot fail in a way that we could act on.
        let _ = self.0.set_state(gst::State::Null);
    }
}

impl Running {
    /// A pipeline from its description, not yet started.
    pub fn parse(description: &str) -> Result<Running, JobError> {
        let element = gst::parse::launch(description).map_err(|error| JobError::failed(missing(&error)))?;
        let pipeline = element
            .downcast::<gst::Pipeline>()
            .map_err(|_| JobError::failed("a GStreamer description is no pipeline"))?;
        Ok(Running(pipeline))
    }

    /// An element of it by name and type.
    pub fn element<T: IsA<gst::Element>>(&self, name: &str) -> Result<T, JobError> {
        self.0
            .by_name(name)
            .and_then(|element| element.downcast::<T>().ok())
            .ok_or_else(|| JobError::failed(format!("a GStreamer pipeline has no {name}")))
    }

    /// Starts it.
    pub fn play(&self) -> Result<(), JobError> {
        self.0.set_state(gst::State::Playing)?;
        Ok(())
    }

    /// Looks at the bus for up to `wait`: `true` once the stream has ended.
    pub fn ended(&self, wait: Duration) -> Result<bool, gst::glib::Error> {
        let Some(bus) = self.0.bus() else { return Ok(true) };
        let wait = gst::ClockTime::try_from(wait).unwrap_or(gst::ClockTime::ZERO);
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        // A timed pop with no time at all gives up before it looks.
        let message = if wait.is_zero() {
            bus.pop_filtered(&kinds)
        } else {
            bus.timed_pop_filtered(wait, &kinds)
        };
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => Ok(true),
            Some(gst::MessageView::Error(error)) => {
                if let Some(debug) = error.debug() {
                    eprintln!("media-worker: {}: {debug}", error.error());
                }
                Err(error.error())
            }
            _ => Ok(false),
        }
    }

    /// Waits for the end. Bounded by the job's time limit, which its owner holds.
    pub fn wait(&self) -> Result<(), JobError> {
        loop {
            match self.ended(Duration::from_millis(500)) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err(JobError::failed(error.message())),
            }
        }
    }
}

fn missing(error: &gst::glib::Error) -> String {
    if error.matches(gst::ParseError::NoSuchElement) {
        format!(
            "{}; install gstreamer1.0-plugins-{{base,good,bad,ugly}} and gstreamer1.0-libav",
            error.message()
        )
    } else {
        error.message().to_owned()
    }
}

/// The first of these element factories that this machine has.
pub(crate) fn first_of(names: &[&'static str]) -> Result<&'static str, JobError> {
    names
        .iter()
        .copied()
        .find(|name| gst::ElementFactory::find(name).is_some())
        .ok_or_else(|| JobError::failed(format!("GStreamer has none of {}", names.join(", "))))
}

/// Takes everything that would open a connection out of this process's registry: a clip that is a playlist, a manifest or a
/// session description names other places, and decodebin would go there.
pub(crate) fn forget_network() {
    let registry = gst::Registry::get();
    for feature in registry.features(gst::ElementFactory::static_type()) {
        let Some(factory) = feature.downcast_ref::<gst::ElementFactory>() else {
            continue;
        };
        let class = factory.metadata(gst::ELEMENT_METADATA_KLASS).unwrap_or_default();
        let reaches_out = class.contains("Network")
            || class.contains("Adaptive")
            || (class.contains("Source") && factory.has_type(gst::ElementFactoryType::SRC) && is_handler(factory));
        let by_name = matches!(
            factory.name().as_str(),
            "sdpdemux" | "hlsdemux" | "dashdemux" | "mssdemux" | "giosrc" | "rtspsrc"
        );
        if reaches_out || by_name {
            registry.remove_feature(&feature);
        }
    }
}

/// Opens URIs other than files and its like.
fn is_handler(factory: &gst::ElementFactory) -> bool {
    let own = ["file", "appsrc", "data", "fd", "pushfile"];
    let protocols = factory.uri_protocols();
    !protocols.is_empty() && protocols.iter().any(|protocol| !own.contains(&protocol.as_str()))
}
