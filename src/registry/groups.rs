//! Global groups as the global configuration has them.

use super::GlobalGroups;
use crate::message::{ClientId, GlobalGroupId};
use crate::trust::GlobalConf;

impl GlobalGroups for GlobalConf {
    fn contains(&self, group: &GlobalGroupId, client: &ClientId) -> bool {
        self.global_group_contains(group, client)
    }
}
