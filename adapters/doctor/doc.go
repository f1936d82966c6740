// Package doctor says whether a host can carry addresses and the control plane's VIP, before and while it does: what it has seen, and what is
// to be done about it.
//
// A check is a function of the system and of what is known of the cluster. It changes nothing, ends in a bounded time, and gives a finding
// also where all is well, so that silence never means health. What cannot be told is a finding too: skipped, with the reason.
//
// All of them read, or listen; two send. The gateway is asked for its MAC (three ARP requests at most, a second apart), and whether it follows a
// moved address is tried only with an address that the operator has named for that, and that nobody answers for.
//
// Checks run one after the other on the calling thread, so that they look at its network namespace.
package doctor
