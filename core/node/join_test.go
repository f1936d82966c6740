package node

import (
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/event/eventtest"
	"viplog/core/lease"
	"viplog/core/log"
)

const testLog = "2026-01-01T00:00:00Z"

// joinedEntries are a log in which three nodes have joined, and then further facts; the incarnation of the first is given.
func joinedEntries(t *testing.T, further ...event.Event) (entries []log.Entry, first lease.Incarnation) {
	t.Helper()
	for i, e := range append((eventtest.Churn{LogID: testLog, Nodes: 3}).Start(), further...) {
		record, err := event.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, log.Entry{Fact: log.Fact{Record: record}, Sequence: uint64(i + 1), Time: time.Unix(int64(i), 0)})
		if joined, is := e.(event.NodeJoined); is && first.Join == 0 {
			first = lease.Incarnation{Node: joined.Address, Join: uint64(i + 1)}
		}
	}
	return entries, first
}

// started is the first node's process, started at an instant on what its disk holds, when it has read the log.
func started(entries []log.Entry, now lease.Instant, disk Disk) (*Machine, Ready) {
	identity := Identity{Address: eventtest.NodeAddress(0), Name: "lb-1", MachineID: "machine-0", Boot: "this boot", Start: "again"}
	m := New(identity, lease.Default, testLog, disk)
	m.Step(now, Linked{})
	m.Step(now, Folded{Entries: entries})
	return m, m.Step(now, HeadRead{Last: uint64(len(entries))})
}

func TestACopyOfAHostResignsNothing(t *testing.T) {
	entries, first := joinedEntries(t, eventtest.Joined(0, "second"))
	now := lease.Instant(time.Hour)
	for boot, resigns := range map[string]int{"this boot": 1, "another boot": 0} {
		_, ready := started(entries, now, Disk{Log: testLog, Boot: boot, Incarnations: []lease.Incarnation{first}})
		if len(ready.Resigns) != resigns {
			t.Errorf("what %s has left is resigned %d times, not %d", boot, len(ready.Resigns), resigns)
		}
	}
}

func TestACrashLoopJoinsLessAndLessOften(t *testing.T) {
	entries, first := joinedEntries(t)
	dead := lease.Incarnation{Node: first.Node, Join: 1}
	now := lease.Instant(time.Hour)
	for _, test := range []struct {
		lived time.Duration
		falls int
		waits time.Duration
	}{
		{100 * time.Millisecond, 0, time.Second},
		{100 * time.Millisecond, 3, 8 * time.Second},
		{100 * time.Millisecond, 20, time.Minute},
		{time.Hour, 20, 0},
	} {
		_, ready := started(entries, now, Disk{
			Log: testLog, Boot: "this boot", Incarnations: []lease.Incarnation{dead}, JoinedAt: now.Add(-test.lived), Falls: test.falls,
		})
		if greets := len(ready.Renewals) > 0; greets != (test.waits == 0) {
			t.Errorf("%d falls, the last after %v: it greets at once: %t", test.falls, test.lived, greets)
		}
		if test.waits > 0 && ready.Wake != now.Add(test.waits) {
			t.Errorf("%d falls, the last after %v: it waits for %v, not %v", test.falls, test.lived, ready.Wake.Since(now), test.waits)
		}
	}
}

func TestALedgerThatIsWrongAgainKeepsItsNodeOut(t *testing.T) {
	entries, first := joinedEntries(t)
	now := lease.Instant(time.Hour)
	wrong := lease.Digest{Sequence: 4096, Sum: [32]byte{1}}
	disk := Disk{Log: testLog, Boot: "this boot", Incarnations: []lease.Incarnation{first}, JoinedAt: now, Wrong: wrong}
	for _, test := range []struct {
		digest lease.Digest
		renews bool
	}{{wrong, false}, {lease.Digest{Sequence: 4096, Sum: [32]byte{2}}, true}} {
		m, _ := started(entries, now, disk)
		m.Step(now, Digested{test.digest})
		ready := m.Step(now.Add(time.Minute), Woken{})
		if renews := len(ready.Renewals) > 0; renews != test.renews {
			t.Errorf("with a digest %v after %v was found wrong it renews: %t", test.digest.Sum[0], wrong.Sum[0], renews)
		}
	}
}

func TestAWrongLedgerIsFoldedAnew(t *testing.T) {
	entries, first := joinedEntries(t)
	now := lease.Instant(time.Hour)
	m, _ := started(entries, now, Disk{Log: testLog, Boot: "this boot", Incarnations: []lease.Incarnation{first}, JoinedAt: now})
	mine, theirs := lease.Digest{Sequence: 4096, Sum: [32]byte{1}}, lease.Digest{Sequence: 4096, Sum: [32]byte{2}}
	m.Step(now, Digested{mine})
	answer := lease.Answer{Log: testLog, Voter: "v1", To: first, Digest: mine}
	if ready := m.Step(now, Answered{answer}); ready.Refold {
		t.Error("it folds a ledger anew that is the voter's")
	}
	answer.Digest = theirs
	ready := m.Step(now, Answered{answer})
	if !ready.Refold || len(ready.Resigns) > 0 || ready.Persist == nil || ready.Persist.Wrong != mine {
		t.Errorf("it does not fold a wrong ledger anew: %+v", ready)
	}
}

func TestANodeJoinsWhenTheNewestDigestIsKnown(t *testing.T) {
	entries, first := joinedEntries(t)
	now := lease.Instant(time.Hour)
	m := New(Identity{Address: first.Node, Name: "lb-1", MachineID: "machine-0", Boot: "this boot", Start: "again"}, lease.Default, testLog, Disk{
		Log: testLog, Boot: "this boot", Incarnations: []lease.Incarnation{first}, JoinedAt: now,
	})
	m.DigestsEvery(2)
	m.Step(now, Linked{})
	for i := range entries { // digests of 2, 4 and 6 are asked for
		m.Step(now, Folded{Entries: entries[i : i+1]})
	}
	m.Step(now, HeadRead{Last: uint64(len(entries))})
	for sequence, runs := range map[uint64]bool{2: false, 6: true} {
		c := m.Clone()
		c.Step(now, Digested{lease.Digest{Sequence: sequence}})
		if _, is := c.Incarnation(); is != runs {
			t.Errorf("when the digest of %d is known it runs: %t", sequence, is)
		}
	}
}

// TestANodeThatTheClusterFileDropsHandsOverEndsAndWaits goes from the fact that drops a node to the one that declares it again.
func TestANodeThatTheClusterFileDropsHandsOverEndsAndWaits(t *testing.T) {
	m, now := leased(t)
	me, _ := m.Incarnation()
	declare := func(nodes ...event.DeclaredNode) Ready {
		cluster := eventtest.Churn{LogID: testLog}.Start()[0].(event.ClusterConfigured)
		cluster.Nodes = nodes
		record, err := event.Encode(cluster)
		if err != nil {
			t.Fatal(err)
		}
		return m.Step(now, Folded{Entries: []log.Entry{{Fact: log.Fact{Record: record}, Sequence: m.Ledger().Sequence() + 1}}})
	}
	var nodes []event.DeclaredNode
	for i := range 3 {
		nodes = append(nodes, event.DeclaredNode{Address: eventtest.NodeAddress(i), Role: event.RoleLoadBalancer})
	}

	ready := declare(nodes[1:]...)
	if _, runs := m.Incarnation(); !runs || m.vips.Len() != 1 || ready.Until <= now {
		t.Fatalf("before its successor knows, it runs: %t, and answers for %d addresses until %v", runs, m.vips.Len(), ready.Until)
	}
	if len(ready.Propose) > 0 {
		t.Errorf("of an incarnation that the cluster file has ended the log is told %v", ready.Propose)
	}

	declare(nodes...) // which is for the next incarnation
	for range 4 {     // the others say that they have read it
		now = now.Add(lease.Default.Heartbeat / 2)
		ready = m.Step(now, Woken{})
		for _, r := range ready.Renewals {
			ready = m.Step(now, Answered{grant(me, r, m.Ledger().Sequence())})
		}
	}
	if _, runs := m.Incarnation(); runs || m.vips.Len() > 0 || ready.Until != 0 {
		t.Errorf("after its successor knows, it runs: %t, and answers for %d addresses until %v", runs, m.vips.Len(), ready.Until)
	}
	if len(ready.Resigns) != 1 || ready.Resigns[0].Who != me {
		t.Errorf("voters are told of the end of %v, not of %v", ready.Resigns, me)
	}

	now = now.Add(2 * maxBackOff)
	for _, test := range []struct {
		nodes  []event.DeclaredNode
		greets bool
	}{{nodes[1:], false}, {nodes, true}} {
		greetings := declare(test.nodes...).Renewals
		greetings = append(greetings, m.Step(now, HeadRead{Last: m.Ledger().Sequence()}).Renewals...)
		if greets := len(greetings) > 0; greets != test.greets {
			t.Errorf("of %d declared nodes, it wants to join: %t", len(test.nodes), greets)
		}
	}
}
