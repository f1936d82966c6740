package control

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/tidwall/btree"

	"viplog/core/ledger"
)

// Owners remembers since when each address has its owner, which the ledger does not: it knows by which fact only.
type Owners struct {
	since *btree.Map[string, int64] // by address: ledger time, Unix nanoseconds
}

// Since is the ledger time in Unix nanoseconds at which an address got the owner that it has; 0 where that is not known.
func (o *Owners) Since(a netip.Addr) int64 {
	if o == nil {
		return 0
	}
	since, _ := o.since.Get(a.String())
	return since
}

// Clone makes an independent copy in O(1). It counts as a write.
func (o *Owners) Clone() *Owners { return &Owners{o.since.Copy()} }

// Mirror is the machine behind the statuses: it folds what facts changed into which Services' statuses may be others, and which
// Events that is worth. Folded takes facts in the order of the log; Take gives what came together since.
type Mirror struct {
	Owners Owners

	sequence  uint64 // of the last fact
	services  map[ledger.ServiceKey]uint64
	addresses map[netip.Addr]uint64
	behind    map[netip.Addr]uint64 // only standbys are others
	users     map[netip.Addr]uint64 // others use them, or nobody
	nodes     uint64                // since this fact what nobody announces, or waits, may have another reason; 0: it has not
	cluster   uint64                // since this fact all may be others
	names     []string              // of the nodes, at the last Take
	asking    asking

	recent []happening // in the order of the log
	told   int         // those of recent that Take has given
}

// happening is a fact that may be worth Events.
type happening struct {
	sequence uint64
	time     int64
	changes  []ledger.Change
}

// Events are for what happened a short while ago: a controller that takes over repeats these, under the names that they had, and
// a cluster that starts again after a year does not tell the year.
const (
	eventsFor    = int64(15 * time.Minute)
	recentLength = 2048
)

// NewMirror makes a machine for a log that is folded from its first fact.
func NewMirror() *Mirror {
	return &Mirror{
		Owners:   Owners{since: btree.NewMap[string, int64](0)},
		services: map[ledger.ServiceKey]uint64{}, addresses: map[netip.Addr]uint64{}, behind: map[netip.Addr]uint64{},
		users: map[netip.Addr]uint64{}, asking: asking{map[ledger.ServiceKey][]netip.Addr{}, map[netip.Addr][]ledger.ServiceKey{}},
	}
}

// asking are the Services that wait for addresses which they request: who has one of them is a reason that their statuses name.
type asking struct {
	of map[ledger.ServiceKey][]netip.Addr
	by map[netip.Addr][]ledger.ServiceKey
}

// look has a Service be among them if it is.
func (a asking) look(s *ledger.State, key ledger.ServiceKey) {
	for _, address := range a.of[key] {
		if a.by[address] = slices.DeleteFunc(a.by[address], func(k ledger.ServiceKey) bool { return k == key }); len(a.by[address]) == 0 {
			delete(a.by, address)
		}
	}
	delete(a.of, key)
	if spec, known := s.ServiceSpec(key); known && len(spec.RequestedAddresses) > 0 && len(s.AddressesOf(key)) == 0 {
		a.of[key] = spec.RequestedAddresses
		for _, address := range spec.RequestedAddresses {
			a.by[address] = append(a.by[address], key)
		}
	}
}

// Touched is a Service whose status may be another since a fact.
type Touched struct {
	Service  ledger.ServiceKey
	Sequence uint64 // of the first such fact
}

// Taken is what came together since the last Take.
type Taken struct {
	Sequence uint64    // of the last fact folded
	Touched  []Touched // first those of whom more than a standby is another; a Service may be there twice
	All      uint64    // every Service's status may be another since this fact; 0: not so
	Replan   bool      // what sources show may mean something else: the cluster, its settings or a node's name changed
	Events   []Event
}

// Folded takes what a fact changed. Lists are the succession lists that it changed.
func (m *Mirror) Folded(sequence uint64, timeNanos int64, changes []ledger.Change, lists []ledger.ListChange) {
	m.sequence = sequence
	since := func(first uint64) uint64 {
		if first > 0 {
			return first
		}
		return sequence
	}
	worth := false
	for _, c := range changes {
		switch c.Kind {
		case ledger.Allocated, ledger.Released, ledger.Waiting:
			m.services[c.Service] = since(m.services[c.Service])
			if c.Address.IsValid() {
				m.users[c.Address] = since(m.users[c.Address])
			}
			worth = true
		case ledger.Moved, ledger.Unowned:
			m.Owners.since.Set(c.Address.String(), timeNanos)
			m.addresses[c.Address] = since(m.addresses[c.Address])
			worth = true
		case ledger.Conflicted, ledger.Undisputed:
			m.addresses[c.Address] = since(m.addresses[c.Address])
			worth = true
		case ledger.NodeChanged:
			m.nodes = since(m.nodes)
		case ledger.Configured:
			m.cluster = since(m.cluster)
		case ledger.Freed, ledger.VoterSet, ledger.Balanced, ledger.Rejected:
		}
	}
	for _, l := range lists {
		m.behind[l.Address] = since(m.behind[l.Address])
		if len(l.After) == 0 {
			m.Owners.since.Delete(l.Address.String())
		}
	}
	if worth {
		m.recent = append(m.recent, happening{sequence, timeNanos, changes})
		m.forget(timeNanos)
	}
}

// Declared has a Service looked at that the last fact declares, also where that changed neither its addresses nor who announces them.
func (m *Mirror) Declared(key ledger.ServiceKey) {
	if _, known := m.services[key]; !known {
		m.services[key] = m.sequence
	}
}

// Sequence is that of the last fact folded.
func (m *Mirror) Sequence() uint64 { return m.sequence }

// forget drops what happened long ago.
func (m *Mirror) forget(now int64) {
	n := max(0, len(m.recent)-recentLength)
	for n < len(m.recent) && m.recent[n].time < now-eventsFor {
		n++
	}
	if n > 0 {
		m.recent = slices.Delete(m.recent, 0, n)
		m.told = max(0, m.told-n)
	}
}

// Take gives what came together since it was last called, by a ledger that has folded as much or more. Events are those of facts
// not older than a quarter of an hour before nowNanos, Unix time.
func (m *Mirror) Take(s *ledger.State, nowNanos int64) Taken {
	taken := Taken{Sequence: m.sequence, All: m.cluster, Replan: m.cluster > 0}
	touched := m.services
	for _, key := range slices.SortedFunc(maps.Keys(touched), ledger.ServiceKey.Compare) {
		m.asking.look(s, key)
	}
	note := func(to map[ledger.ServiceKey]uint64, addresses map[netip.Addr]uint64) {
		for _, a := range slices.SortedFunc(maps.Keys(addresses), netip.Addr.Compare) {
			for _, key := range s.Users(a) {
				if first, known := to[key]; !known || addresses[a] < first {
					to[key] = addresses[a]
				}
			}
		}
	}
	note(touched, m.addresses)
	later := map[ledger.ServiceKey]uint64{}
	note(later, m.behind)
	for _, a := range slices.SortedFunc(maps.Keys(m.users), netip.Addr.Compare) {
		for _, key := range m.asking.by[a] {
			if first, known := later[key]; !known || m.users[a] < first {
				later[key] = m.users[a]
			}
		}
	}
	if m.nodes > 0 {
		for _, key := range s.Lacking() {
			if _, known := later[key]; !known {
				later[key] = m.nodes
			}
		}
		if names := nodeNames(s); !slices.Equal(names, m.names) {
			m.names, taken.Replan = names, true
		}
	}
	taken.Touched = append(inOrder(touched), slices.DeleteFunc(inOrder(later), func(t Touched) bool {
		first, is := touched[t.Service]
		return is && first <= t.Sequence
	})...)
	m.services, m.addresses, m.behind = map[ledger.ServiceKey]uint64{}, map[netip.Addr]uint64{}, map[netip.Addr]uint64{}
	m.users = map[netip.Addr]uint64{}
	m.nodes, m.cluster = 0, 0
	for _, h := range m.recent[m.told:] {
		if h.time >= nowNanos-eventsFor {
			taken.Events = append(taken.Events, eventsOf(s, h)...)
		}
	}
	m.told = len(m.recent)
	return taken
}

// inOrder are Services by the facts that touched them, then by name.
func inOrder(touched map[ledger.ServiceKey]uint64) (all []Touched) {
	for _, key := range slices.SortedFunc(maps.Keys(touched), ledger.ServiceKey.Compare) {
		all = append(all, Touched{key, touched[key]})
	}
	slices.SortStableFunc(all, func(a, b Touched) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return all
}

// nodeNames are the names by which endpoints are compared.
func nodeNames(s *ledger.State) (names []string) {
	for _, n := range s.Nodes() {
		names = append(names, n.Address.String()+" "+n.Name)
	}
	return names
}

// Again makes the next Take give the Events of the last quarter of an hour once more: for a controller that takes over, and does not know
// which of them were written.
func (m *Mirror) Again() { m.told = 0 }

// Event is something worth telling about a Service, once: Sequence and Reason name it among those of the Service.
type Event struct {
	Service  ledger.ServiceKey
	Sequence uint64
	Time     int64 // Unix nanoseconds
	Warning  bool
	Reason   string // CamelCase
	Note     string // for a person, at most 1,024 bytes
}

// longestNote is what the API allows a note.
const longestNote = 1024

// eventsOf are those that a fact is worth: one of each reason for each Service, by name and reason.
func eventsOf(s *ledger.State, h happening) (all []Event) {
	type named struct {
		service ledger.ServiceKey
		reason  string
	}
	told := map[named]int{} // among all
	tell := func(key ledger.ServiceKey, warning bool, reason, note string) {
		if _, there := s.ServiceSpec(key); !there {
			return
		}
		if i, known := told[named{key, reason}]; known {
			all[i].Note = clipped(all[i].Note+"; "+note, longestNote)
			return
		}
		told[named{key, reason}] = len(all)
		all = append(all, Event{Service: key, Sequence: h.sequence, Time: h.time, Warning: warning, Reason: reason, Note: clipped(note, longestNote)})
	}
	// An address may change hands several times by one fact: what counts is where it was before and where it ends.
	allocated, first, last := map[netip.Addr]bool{}, map[netip.Addr]netip.Addr{}, map[netip.Addr]int{}
	for i, c := range h.changes {
		switch c.Kind {
		case ledger.Allocated:
			allocated[c.Address] = true
		case ledger.Moved, ledger.Unowned:
			if _, known := last[c.Address]; !known {
				first[c.Address] = c.From
			}
			last[c.Address] = i
		case ledger.Released, ledger.Waiting, ledger.Freed, ledger.Conflicted, ledger.Undisputed, ledger.Configured, ledger.NodeChanged, ledger.VoterSet, ledger.Balanced, ledger.Rejected:
		}
	}
	for i, c := range h.changes {
		switch c.Kind {
		case ledger.Allocated:
			tell(c.Service, false, "AddressAssigned", fmt.Sprintf("%s of pool %s: %s", c.Address, c.Pool, c.Reason))
		case ledger.Released:
			if c.Address.IsValid() {
				tell(c.Service, true, "AddressReleased", fmt.Sprintf("%s: %s", c.Address, c.Reason))
			}
		case ledger.Waiting:
			tell(c.Service, true, "AddressMissing", c.Reason)
		case ledger.Moved:
			from := first[c.Address]
			if last[c.Address] != i || allocated[c.Address] || from == c.Node {
				continue
			}
			note := fmt.Sprintf("%s is announced by %s", c.Address, s.Name(c.Node))
			if from.IsValid() {
				note += ", before that by " + s.Name(from)
			}
			for _, key := range s.Users(c.Address) {
				tell(key, false, "AnnouncerChanged", note+": "+c.Reason)
			}
		case ledger.Unowned:
			if last[c.Address] == i {
				for _, key := range s.Users(c.Address) {
					tell(key, true, "NobodyAnnounces", fmt.Sprintf("%s, before that by %s: %s", c.Address, s.Name(first[c.Address]), c.Reason))
				}
			}
		case ledger.Conflicted:
			for _, key := range s.Users(c.Address) {
				tell(key, true, "AddressInConflict", fmt.Sprintf("%s: %s", c.Address, c.Reason))
			}
		case ledger.Undisputed:
			for _, key := range s.Users(c.Address) {
				tell(key, false, "ConflictOver", fmt.Sprintf("%s: %s", c.Address, c.Reason))
			}
		case ledger.Freed, ledger.Configured, ledger.NodeChanged, ledger.VoterSet, ledger.Balanced, ledger.Rejected:
		}
	}
	return all
}
