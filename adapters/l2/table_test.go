package l2

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mdlayher/arp"
	"pgregory.net/rapid"

	"viplog/core/lease"
	"viplog/core/node"
)

// A model: for each address where it is served, and where and until when it is watched.
type modelled struct {
	served  []string
	watched map[string]lease.Instant
}

func TestTheTableIsWhatItWasTold(t *testing.T) {
	names := []string{"eth0", "eth1"}
	// Two of them share their solicited-node group.
	all := []netip.Addr{at4, at6, netip.MustParseAddr("fd00::1:0:0:100"), netip.MustParseAddr("fd00::200")}
	rapid.Check(t, func(t *rapid.T) {
		table, model, now := newTable(), map[netip.Addr]modelled{}, lease.Instant(0)
		joined := map[groupKey]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			a := rapid.SampledFrom(all).Draw(t, "address")
			m := model[a]
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				m.served = rapid.SampledFrom([][]string{{"eth0"}, {"eth1"}, names}).Draw(t, "where")
				table.serve(nil, []node.Served{{Address: a, Interfaces: m.served}}, lease.Never, now)
			case 1:
				m.served = nil
				table.serve([]netip.Addr{a}, nil, lease.Never, now)
			case 2:
				name := rapid.SampledFrom(names).Draw(t, "where")
				m.watched = maps.Clone(m.watched)
				if m.watched == nil {
					m.watched = map[string]lease.Instant{}
				}
				for watched, until := range m.watched { // a probe prolongs what is still watched on other interfaces
					if until > now {
						m.watched[watched] = now.Add(watchFor)
					}
				}
				m.watched[name] = now.Add(watchFor)
				table.watch([]node.Frame{{Kind: node.Probe, Address: a, Interface: name}}, now)
			}
			model[a] = m
			table.forget(now)
			for _, key := range table.changedGroups() {
				joined[key] = table.needs(key)
			}
			compare(t, table, model, joined, all, names, now)
		}
	})
}

func compare(t *rapid.T, table *table, model map[netip.Addr]modelled, joined map[groupKey]bool, all []netip.Addr, names []string, now lease.Instant) {
	groups := map[groupKey]bool{}
	for _, a := range all {
		for _, name := range names {
			m := model[a]
			served, watched := slices.Contains(m.served, name), m.watched[name] > now
			if table.serves(a, name) != served {
				t.Fatalf("%s on %s is served: %t", a, name, !served)
			}
			stranger := mac{2, byte(now >> 8), byte(now >> 16), byte(now >> 24), byte(now >> 32), byte(now >> 40)}
			table.mindsNothing()
			if minds := table.minds(a, name, stranger, now); minds != (served || watched) {
				t.Fatalf("%s on %s is minded: %t", a, name, minds)
			}
			if a.Is6() && (served || watched) {
				groups[groupKey{name, solicitedNode(a)}] = true
			}
		}
	}
	maps.DeleteFunc(joined, func(_ groupKey, is bool) bool { return !is })
	if !maps.Equal(groups, joined) {
		t.Fatalf("joined %v, needed %v", joined, groups)
	}
	for _, name := range names {
		for _, g := range table.groupsOn(name) {
			if !groups[groupKey{name, g}] {
				t.Fatalf("%s counts for %s", g, name)
			}
		}
	}
}

// mindsNothing forgets what was told.
func (t *table) mindsNothing() {
	for _, e := range t.entries {
		e.told.Store(nil)
	}
}

func TestTheSameIsToldFiveTimesASecondAtMost(t *testing.T) {
	table := newTable()
	table.serve(nil, []node.Served{{Address: at4, Interfaces: []string{"eth0"}}}, lease.Never, 0)
	for _, c := range []struct {
		by   mac
		at   time.Duration
		want bool
	}{{theirs, 0, true}, {theirs, tellEvery - 1, false}, {theirs, tellEvery, true}, {mac{2}, tellEvery, true}, {theirs, tellEvery, false}} {
		if got := table.minds(at4, "eth0", c.by, lease.Instant(c.at)); got != c.want {
			t.Errorf("%s at %v: %t", c.by, c.at, got)
		}
	}
	count := 0
	for i := range 100 { // a storm of MACs
		if table.minds(at4, "eth0", mac{4, byte(i)}, lease.Instant(time.Second)) {
			count++
		}
	}
	if count != tellMost {
		t.Errorf("%d of 100 were told", count)
	}
}

func TestWhatWaitsIsSentAtItsPaceSecondFormsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		var frames []node.Frame
		for a := at4; len(frames) < 1000; a = a.Next() {
			frames = append(frames, node.Frame{Address: a})
		}
		q.put(frames)
		q.put(frames) // each waits once
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		begin, sent := time.Now(), 0
		go q.pace(ctx, 10_000, func(f node.Frame, second bool) {
			if second != (sent >= len(frames)) || f != frames[sent%len(frames)] {
				t.Errorf("frame %d: %v, %t", sent, f, second)
			}
			if !second {
				q.putAgain(f)
			}
			sent++
			if most := int(time.Since(begin)/time.Millisecond+1) * 10; sent > most {
				t.Errorf("%d frames after %v", sent, time.Since(begin))
			}
		})
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if sent != 2*len(frames) {
			t.Errorf("%d frames were sent", sent)
		}
		time.Sleep(time.Hour) // what was not sent is not saved up
		synctest.Wait()
		begin, sent = time.Now(), 0
		q.put(frames)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		if sent < 400 || sent > 520 {
			t.Errorf("%d frames in 50 ms", sent)
		}
		cancel()
		synctest.Wait()
	})
}

// Eight rounds in five seconds, as core asks for them, are more than there is time for.
func TestSecondFormsDoNotWaitForAsLongAsFirstOnesArePutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		var frames []node.Frame
		for a := at4; len(frames) < 10_000; a = a.Next() {
			frames = append(frames, node.Frame{Address: a})
		}
		ctx, cancel := context.WithCancel(t.Context())
		begin, firsts, both := time.Now(), 0, map[node.Frame]bool{}
		var done, probed time.Duration
		go q.pace(ctx, 10_000, func(f node.Frame, second bool) {
			switch {
			case f.Kind == node.Probe:
				probed = time.Since(begin)
			case !second:
				firsts++
				q.putAgain(f)
			default:
				if both[f] = true; len(both) == len(frames) && done == 0 {
					done = time.Since(begin)
				}
			}
		})
		for _, at := range []time.Duration{0, 50, 200, 500, 1100, 2200, 3300, 4400} {
			time.Sleep(time.Until(begin.Add(at * time.Millisecond)))
			q.put(frames)
			if at == 500 {
				q.put([]node.Frame{{Kind: node.Probe, Address: at4}})
			}
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if firsts < 2*len(frames) || done == 0 || done > 2500*time.Millisecond {
			t.Errorf("all were told in both forms after %v; first forms: %d", done, firsts)
		}
		if probed > 503*time.Millisecond {
			t.Errorf("a probe of 500 ms was sent after %v", probed)
		}
		cancel()
		synctest.Wait()
	})
}

// What a received question costs before it is answered: the same for any number of addresses.
func BenchmarkQuestion(b *testing.B) {
	for _, many := range []int{10, 10_000} {
		b.Run(strconv.Itoa(many), func(b *testing.B) {
			table := newTable()
			for a := at4; many > 0; a, many = a.Next(), many-1 {
				table.serve(nil, []node.Served{{Address: a, Interfaces: []string{"eth0"}}}, lease.Never, 0)
			}
			question := arpFrame(arp.OperationRequest, theirs, broadcast, from4, nobody, at4)
			b.ReportAllocs()
			for b.Loop() {
				m, err := parseARP(question)
				if err != nil || !table.serves(m.asked, "eth0") {
					b.Fatal(err)
				}
			}
		})
	}
}
