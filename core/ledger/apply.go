package ledger

import (
	"fmt"
	"net/netip"

	"viplog/core/event"
	"viplog/core/log"
)

// ApplyEntry decodes an entry of the log and applies it. An entry that no replica can read alike (unknown type, forged
// subject, bytes that are not canonical, rules that the ledger does not hold) is rejected by every one of them: it
// counts, and changes nothing.
func (s *State) ApplyEntry(e log.Entry) []Change {
	decode := event.Decode
	if s.binary != nil && s.binary.Decode != nil {
		decode = s.binary.Decode
	}
	decoded, err := decode(e.Record)
	switch {
	case err != nil:
		s.advance(e.Sequence, e.Time.UnixNano())
		return []Change{{Kind: Rejected, Reason: err.Error()}}
	case e.Rules > s.rules:
		s.advance(e.Sequence, e.Time.UnixNano())
		return []Change{{Kind: Rejected, Reason: fmt.Sprintf("needs rules %d, the ledger holds rules %d", e.Rules, s.rules)}}
	}
	return s.Apply(decoded, e.Sequence, e.Time.UnixNano())
}

// Apply folds one fact into the ledger and says what it changed. It is total: a fact that cannot be honoured becomes a
// Rejected change. The sequence must be the next one; timeNanos is the log server's clock at storing.
func (s *State) Apply(e event.Event, seq uint64, timeNanos int64) []Change {
	s.advance(seq, timeNanos)
	f := &fold{State: s, changes: make([]Change, 0, 2)}
	if err := e.Check(); err != nil {
		f.reject("%s", err)
		return f.changes
	}
	if needed := event.RulesOf(e); needed > s.rules { // whatever rules it was stored with
		f.reject("needs rules %d, the ledger holds rules %d", needed, s.rules)
		return f.changes
	}
	switch e := e.(type) {
	case event.ClusterConfigured:
		f.clusterConfigured(e)
	case event.SettingsChanged:
		f.settingsChanged(e)
	case event.PoolAdded:
		f.poolAdded(e.Pool)
	case event.PoolEdited:
		f.poolEdited(e.Pool)
	case event.PoolRemoved:
		f.poolRemoved(e.Name)
	case event.ServiceApplied:
		f.serviceApplied(e)
	case event.ServiceDeleted:
		f.serviceDeleted(e)
	case event.EndpointsChanged:
		f.endpointsChanged(e)
	case event.NamespaceChanged:
		f.namespaceChanged(e.Name, e.Labels)
	case event.NamespaceDeleted:
		f.namespaceDeleted(e.Name)
	case event.AddressReleased:
		f.addressReleased(e)
	case event.NodeJoined:
		f.nodeJoined(e)
	case event.NodeChanged:
		f.nodeChanged(e)
	case event.NodeLeft:
		f.nodeLeft(e)
	case event.NodeFailed:
		f.nodeFailed(e)
	case event.NodeDrained:
		f.nodeDrained(e.Address, true, e.Reason)
	case event.NodeUndrained:
		f.nodeDrained(e.Address, false, "")
	case event.RebalanceRequested:
		f.rebalanceRequested(e)
	case event.VoterAdded:
		f.voterAdded(e)
	case event.VoterRemoved:
		f.voterRemoved(e)
	case event.VotersSettled:
		f.votersSettled(e)
	case event.VIPConflictSeen:
		f.conflictSeen(e)
	case event.VIPConflictCleared:
		f.conflictCleared(e)
	case event.NodeLabelled:
		f.nodeLabelled(e)
	case event.RulesAdopted:
		f.rulesAdopted(e)
	case event.FrontendAssigned:
		f.frontendAssigned(e)
	case event.NodeEvicted, event.VoterDeclaredOff:
		f.reject("rules %d do not honour %s", s.rules, event.TypeOf(e))
	default:
		panic(fmt.Sprintf("ledger: no rule for %T", e))
	}
	return f.changes
}

func (s *State) advance(seq uint64, timeNanos int64) {
	if seq != s.seq+1 {
		panic(fmt.Sprintf("ledger: fact %d applied to a ledger at %d: facts are folded in order, without holes", seq, s.seq))
	}
	s.seq = seq
	s.time = max(s.time, timeNanos)
	s.expire()
}

// fold is one Apply under way.
type fold struct {
	*State
	changes []Change

	madeRoom bool        // an address was released
	scratch  []candidate // reused from list to list
}

func (f *fold) add(c Change) { f.changes = append(f.changes, c) }

func (f *fold) reject(format string, args ...any) {
	f.add(Change{Kind: Rejected, Reason: fmt.Sprintf(format, args...)})
}

// describe names a node for a reason: its name, where it has one, and its address.
func (s *State) describe(a netip.Addr) string {
	if n, ok := s.node(a); ok && n.name != "" {
		return n.name
	}
	return a.String()
}
