// Package dataplane tells a node how its data plane stands: what the kernel forwards by for the addresses of Services, which is kube-proxy's work. It asks
// kube-proxy's /healthz, and never touches a rule.
//
// What the answer says (Kubernetes v1.37, pkg/proxy/healthcheck/proxy_health.go): status.IPv4.lastUpdated and status.IPv6.lastUpdated are the ends of
// the last syncs that succeeded. The lastUpdated outside of status is the time of the answer, as long as kube-proxy is healthy, and says nothing. The
// first stamp of a process is none of a sync: SyncLoop sets it before the first one. healthy is false when a change has waited for
// longer than twice kube-proxy's syncPeriod (a minute). The code 503 has also other causes, as a node that the autoscaler is to delete.
// Answers of kube-proxies before v1.33, and of those who take its place, have no status: then only time can tell.
//
// When a controller has said that the statuses of Services are written up to a fact, kube-proxy is about to know of them, or knows already. It has
// served them when a sync has ended that began after that. When a sync begins is not said. But the next one begins a second after an end
// at the earliest (minSyncPeriod, the default; pkg/proxy/runner), and a change that waits lets it begin then. Where ends show that it is not so
// (the mode ipvs, v1.33, another minSyncPeriod), it begins after the end before. So either
//
//   - a sync has ended since, and the one before it ended so late that it can only have begun since; or
//   - no sync has ended for so long that one would have, had anything waited.
//
// Stamps are compared with each other and with the clock of the answer only, so that a step of the host's clock does no harm.
package dataplane
