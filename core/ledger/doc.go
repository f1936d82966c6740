// Package ledger folds the log into what follows from it: which address belongs to which Service, which node owns it
// and who is next.
//
// # The one function
//
// State.Apply(event, sequence, time) is all there is. It is pure: the same facts in the same order give the same
// State on every replica, byte for byte (State.Digest). It is total: a fact that cannot be honoured becomes a Rejected
// change and changes nothing else. Nothing here knows a clock, chance, a goroutine or the outside.
//
// # Allocation
//
// A Service gets, in this order of rules: the address that it requests; the ingressVIP, if it is the ingress Service;
// the lowest free address of the pool that it requests; the lowest free address of the first pool by name that is not
// manualAssign. An address never moves by itself: no fact that does not concern a Service changes its address. Services
// without an address wait in one queue, in the order of the facts that created them; whatever is released or added goes
// to the oldest that fits.
//
// # Succession
//
// Each address in use has a list of at most three members: owner, first standby, second standby. The owner of a new
// address is the candidate with the fewest addresses; each standby the candidate that backs this owner least at that
// position, so that a death scatters its load. A death, a departure or a drain promotes the first living standby and
// refills the tail; a return moves nothing. Only a RebalanceRequested moves owners unforced.
//
// # Snapshots
//
// Snapshot is the canonical encoding of all that is not derived, Restore its inverse. Restore and the facts after it
// equal a full replay. Clone is O(1): plan and explain work on a clone.
package ledger
