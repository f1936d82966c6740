package node

import (
	"fmt"
	"net/netip"

	"viplog/core/lease"
	"viplog/core/trace"
)

// refold gives up a wrong ledger. The next machine resumes the incarnation, if it is in time.
func (m *Machine) refold() {
	m.end(fmt.Sprintf("its ledger at %d is wrong by most voters and nodes: it folds the log anew", m.digest.Sequence))
	m.disk.Wrong = m.digest
	disk := m.disk
	m.phase, m.ready.Persist, m.ready.Refold = ended, &disk, true
}

// digested takes the digest of the ledger. One that was found wrong before is so again: then the programs fold otherwise than those
// of others, and the node stays out until it has others.
func (m *Machine) digested(d lease.Digest) {
	m.digest = d
	if d.Sequence == m.digesting {
		m.digesting = 0
	}
	switch {
	case d == m.disk.Wrong:
		m.end("")
		m.phase = ended
		m.note(trace.Ended, netip.Addr{}, d.Sequence, "its ledger is wrong again: its programs fold otherwise than those of most voters and nodes")
	case m.holder != nil:
		m.holder.Digested(d)
	}
}
