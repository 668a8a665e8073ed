use crate::message::Fault;

/// Collects the children of a fault by local name while its events pass.
#[derive(Debug, Default)]
pub(super) struct FaultReader {
    fault: Fault,
    fault_detail: Option<String>,
    field: Option<Field>,
    depth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Code,
    String,
    Actor,
    Detail,
}

impl FaultReader {
    pub(super) fn start(&mut self, local: &str) {
        self.depth += 1;
        match (self.depth, self.field) {
            (1, _) => {
                self.field = match local {
                    "faultcode" => Some(Field::Code),
                    "faultstring" => Some(Field::String),
                    "faultactor" => Some(Field::Actor),
                    "detail" => Some(Field::Detail),
                    _ => None,
                };
            }
            (2, Some(Field::Detail)) if local == "faultDetail" && self.fault_detail.is_none() => {
                self.fault_detail = Some(String::new());
            }
            _ => {}
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        match (self.depth, self.field) {
            (1, Some(Field::Code)) => self.fault.code.push_str(text),
            (1, Some(Field::String)) => self.fault.string.push_str(text),
            (1, Some(Field::Actor)) => self.fault.actor.push_str(text),
            (1, Some(Field::Detail)) => self.fault.detail.push_str(text),
            (2, Some(Field::Detail)) => {
                if let Some(detail) = &mut self.fault_detail {
                    detail.push_str(text);
                }
            }
            _ => {}
        }
    }

    pub(super) fn end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub(super) fn finish(self) -> Fault {
        let mut fault = self.fault;
        fault.detail = self.fault_detail.unwrap_or(fault.detail).trim().to_owned();
        fault.code = fault.code.trim().to_owned();
        fault
    }
}
