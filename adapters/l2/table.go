package l2

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viplog/core/lease"
	"viplog/core/node"
)

const (
	// watchFor is how long after a probe it is told who uses the address: longer than core/node waits until it probes a disputed one again.
	watchFor = time.Minute
	// tellEvery is how often the same is told of an address: a loop of frames must not fill the shell's queue.
	tellEvery = 200 * time.Millisecond
	// tellMost is how much, of different MACs and interfaces, is told of an address in that time.
	tellMost = 8
)

// table is what this node answers for. Every frame that is received reads it, by one look-up, and an answer is sent before the lock
// is given back.
type table struct {
	mu      sync.RWMutex
	until   lease.Instant
	entries map[netip.Addr]*entry
	groups  groupCounts
}

// entry is an address that is answered for, or watched since it was probed for, or both.
type entry struct {
	served     []string // interfaces on which it is answered for
	watched    []string // interfaces on which it was probed for
	watchUntil lease.Instant
	told       atomic.Pointer[[]told]
}

// told is that a MAC's use of an address on an interface was told.
type told struct {
	by mac
	on string
	at lease.Instant
}

// groupKey is a solicited-node group on an interface.
type groupKey struct {
	name  string
	group netip.Addr
}

// groupCounts are how many addresses need each group, and which of those have changed since somebody looked.
type groupCounts struct {
	needed  map[groupKey]int
	changed map[groupKey]bool
}

func newTable() *table {
	return &table{
		entries: map[netip.Addr]*entry{},
		groups:  groupCounts{needed: map[groupKey]int{}, changed: map[groupKey]bool{}},
	}
}

// plain is an address as it is in frames.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// serve stops, then starts. When it returns, no answer that the table before allowed is under way. It tells whether groups have changed.
func (t *table) serve(stop []netip.Addr, start []node.Served, until lease.Instant, now lease.Instant) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = until
	for _, a := range stop {
		t.change(plain(a), now, func(e *entry) { e.served = nil })
	}
	for _, s := range start {
		t.change(plain(s.Address), now, func(e *entry) { e.served = slices.Clone(s.Interfaces) })
	}
	return len(t.groups.changed) > 0
}

// watch notes which addresses are probed for. It tells whether groups have changed.
func (t *table) watch(frames []node.Frame, now lease.Instant) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range frames {
		if f.Kind != node.Probe {
			continue
		}
		t.change(plain(f.Address), now, func(e *entry) {
			e.watchUntil = now.Add(watchFor)
			if !slices.Contains(e.watched, f.Interface) {
				e.watched = append(slices.Clone(e.watched), f.Interface)
			}
		})
	}
	return len(t.groups.changed) > 0
}

// forget drops what is watched no longer, and says when there is something to drop next: lease.Never if nothing is watched.
func (t *table) forget(now lease.Instant) lease.Instant {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := lease.Never
	for a, e := range t.entries {
		if len(e.watched) > 0 && now >= e.watchUntil {
			t.change(a, now, func(*entry) {})
		} else if len(e.watched) > 0 {
			next = min(next, e.watchUntil)
		}
	}
	return next
}

// change ends an entry's watch if that is over, changes it, and counts the groups that it needs.
func (t *table) change(a netip.Addr, now lease.Instant, how func(*entry)) {
	e := t.entries[a]
	if e == nil {
		e = &entry{}
		t.entries[a] = e
	}
	before := e.everywhere()
	if now >= e.watchUntil {
		e.watched = nil
	}
	how(e)
	if now := e.everywhere(); a.Is6() && !slices.Equal(before, now) {
		group := solicitedNode(a)
		t.groups.add(now, group, 1)
		t.groups.add(before, group, -1)
	}
	if len(e.served)+len(e.watched) == 0 {
		delete(t.entries, a)
	}
}

func (e *entry) everywhere() []string {
	all := append(slices.Clone(e.served), e.watched...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (g *groupCounts) add(names []string, group netip.Addr, n int) {
	for _, name := range names {
		key := groupKey{name, group}
		before := g.needed[key]
		g.needed[key] = before + n
		if before == 0 || before+n == 0 {
			g.changed[key] = true
		}
		if before+n == 0 {
			delete(g.needed, key)
		}
	}
}

// changedGroups gives the groups that may have to be joined or left since it was asked last.
func (t *table) changedGroups() []groupKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := slices.Collect(maps.Keys(t.groups.changed))
	t.groups.changed = map[groupKey]bool{}
	return changed
}

// needs tells whether a group is needed.
func (t *table) needs(key groupKey) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.groups.needed[key] > 0
}

// groupsOn lists all groups that an interface needs.
func (t *table) groupsOn(name string) (groups []netip.Addr) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for key := range t.groups.needed {
		if key.name == name {
			groups = append(groups, key.group)
		}
	}
	return groups
}

// servedOn lists all addresses that are answered for on an interface.
func (t *table) servedOn(name string) (all []netip.Addr) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, a := range slices.SortedFunc(maps.Keys(t.entries), netip.Addr.Compare) {
		if slices.Contains(t.entries[a].served, name) {
			all = append(all, a)
		}
	}
	return all
}

// serves tells whether an address is answered for. The caller holds the lock until it has sent what follows from that.
func (t *table) serves(a netip.Addr, name string) bool {
	e := t.entries[a]
	return e != nil && slices.Contains(e.served, name)
}

// minds tells whether it is to be told that another MAC uses an address. The caller holds the lock.
func (t *table) minds(a netip.Addr, name string, by mac, now lease.Instant) bool {
	e := t.entries[a]
	if e == nil || !slices.Contains(e.served, name) && !(slices.Contains(e.watched, name) && now < e.watchUntil) {
		return false
	}
	for {
		before := e.told.Load()
		var recent []told
		if before != nil {
			recent = slices.DeleteFunc(slices.Clone(*before), func(t told) bool { return now.Since(t.at) >= tellEvery })
		}
		same := slices.ContainsFunc(recent, func(t told) bool { return t.by == by && t.on == name })
		if same || len(recent) >= tellMost {
			return false
		}
		recent = append(recent, told{by, name, now})
		if e.told.CompareAndSwap(before, &recent) { // else another interface has just heard something
			return true
		}
	}
}
