package ledger

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"viplog/core/event"
)

// TestWhatIsGivenUpInTheQueueGoesToTheNextInOrder has a Service that requires two families lose one to an eviction: when
// its turn comes it gives the other up. That goes to those behind it, in the order in which they were created, also where
// one of their line has tried in vain before; in the next round to those before it.
func TestWhatIsGivenUpInTheQueueGoesToTheNextInOrder(t *testing.T) {
	const other = "other" // stands in another line: it asks for the pool
	for _, c := range []struct {
		queue  []string
		getsIt string
	}{
		{[]string{"alike-1", "torn", "alike-2", other}, "alike-2"},
		{[]string{"alike-1", "torn", other, "alike-2"}, other},
		{[]string{"alike-1", "alike-2", "torn", "alike-3", other}, "alike-3"},
		{[]string{other, "alike-1", "torn", "alike-2"}, "alike-2"},
		{[]string{"alike-1", "torn"}, "alike-1"},
		{[]string{other, "alike-1", "torn"}, other},
	} {
		t.Run(fmt.Sprint(c.queue), func(t *testing.T) {
			s := New(testLog)
			apply(s, clusterOf(1))
			settings := event.DefaultSettings()
			settings.Pools = []event.PoolSettings{{Name: "a", OnEdit: event.OnEditEvict}}
			apply(s, settings)
			apply(s, event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.1.1", "fd00::1"}}})
			for _, name := range c.queue { // the others ask for a pool that there is not, until torn has both addresses
				e := declared(name)
				e.RequestedPool = "none"
				if name == "torn" {
					e.RequestedPool, e.FamilyPolicy, e.Families = "", event.RequireDualStack, []string{"IPv4", "IPv6"}
				}
				apply(s, e)
			}
			for _, name := range c.queue {
				e := declared(name)
				if name == other {
					e.RequestedPool = "a"
				}
				if name != "torn" {
					apply(s, e)
				}
			}
			apply(s, event.PoolEdited{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.1.1"}}})
			var got []string
			for _, v := range s.ServiceViews() {
				if len(v.Addresses) > 0 {
					got = append(got, v.Name)
				}
			}
			if !slices.Equal(got, []string{c.getsIt}) {
				t.Errorf("%v got the address, want %s", got, c.getsIt)
			}
		})
	}
}

// TestEvictionsServeTheQueueAsTheRulesSay holds the ledger to the naive model on logs in which pools often lose addresses
// under Services that want two families, while others of few kinds wait.
func TestEvictionsServeTheQueueAsTheRulesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, m := New(testLog), newModel()
		fold := func(e event.Event) {
			if differ := foldBoth(s, m, e, s.TimeNanos()+1e9); differ != "" {
				t.Fatal(differ)
			}
		}
		settings := event.DefaultSettings()
		for _, name := range []string{"a", "b"} {
			quota := rapid.SampledFrom([]int{0, 0, 2}).Draw(t, "quota")
			settings.Pools = append(settings.Pools, event.PoolSettings{Name: name, OnEdit: event.OnEditEvict, QuotaPerNamespace: quota})
			fold(event.PoolAdded{Pool: drawDualPool(t, name)})
		}
		fold(settings)
		for range rapid.IntRange(1, 80).Draw(t, "length") {
			if rapid.IntRange(0, 5).Draw(t, "edit") == 0 {
				fold(event.PoolEdited{Pool: drawDualPool(t, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "pool"))})
				continue
			}
			e := declared(fmt.Sprint("s", rapid.IntRange(0, 15).Draw(t, "service")))
			e.Namespace = rapid.SampledFrom([]string{"red", "blue"}).Draw(t, "namespace")
			e.Families = rapid.SampledFrom([][]string{{"IPv4", "IPv6"}, {"IPv6", "IPv4"}, {"IPv4", "IPv6"}}).Draw(t, "families")
			e.FamilyPolicy = rapid.SampledFrom([]string{event.SingleStack, event.PreferDualStack, event.RequireDualStack}).Draw(t, "policy")
			e.RequestedPool = rapid.SampledFrom([]string{"", "", "", "a"}).Draw(t, "requested pool")
			fold(e)
		}
	})
}

// drawDualPool draws a pool of none to three addresses of each family.
func drawDualPool(t *rapid.T, name string) event.Pool {
	p := event.Pool{Name: name, Addresses: []string{}}
	number := map[string]int{"a": 1, "b": 2}[name]
	for _, format := range []string{"10.0.%d.1-10.0.%d.%d", "fd00:%d::1-fd00:%d::%d"} {
		if n := rapid.IntRange(0, 3).Draw(t, "addresses"); n > 0 {
			p.Addresses = append(p.Addresses, fmt.Sprintf(format, number, number, n))
		}
	}
	return p
}
