//! The processes of a group that a user can suspend (aws-semantics §13).

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Process {
    Launch,
    Terminate,
    AddToLoadBalancer,
    AlarmNotification,
    AzRebalance,
    HealthCheck,
    InstanceRefresh,
    ReplaceUnhealthy,
    ScheduledActions,
}

impl Process {
    pub const ALL: [(Process, &'static str); 9] = [
        (Process::Launch, "Launch"),
        (Process::Terminate, "Terminate"),
        (Process::AddToLoadBalancer, "AddToLoadBalancer"),
        (Process::AlarmNotification, "AlarmNotification"),
        (Process::AzRebalance, "AZRebalance"),
        (Process::HealthCheck, "HealthCheck"),
        (Process::InstanceRefresh, "InstanceRefresh"),
        (Process::ReplaceUnhealthy, "ReplaceUnhealthy"),
        (Process::ScheduledActions, "ScheduledActions"),
    ];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(process, _)| process)
    }

    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(process, _)| *process == self).map_or("", |(_, name)| name)
    }
}
