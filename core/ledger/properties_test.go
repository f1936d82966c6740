package ledger

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"viplog/core/event"
)

// The properties that a load balancer's ledger must have, most of which fail in MetalLB or are stated nowhere there. The
// numbers are those under which they were first written down. Number 12, fencing, is the ownership protocol's; number 15,
// that allocating costs the same however much is allocated, is a figure: BenchmarkApplyOneService and BenchmarkFill.

// Property 1: no (address, protocol, port) has two Services; the users of a shared address have equal, non-empty sharing keys
// and equal backends.
func TestNoPortOfAnAddressHasTwoServices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawAllocation(t, func(s *State, e event.Event, _ *State) {
			s.addresses.scan(func(a *address) bool {
				var taken []event.Port
				first, _ := s.service(a.users[0])
				for _, key := range a.users {
					v, _ := s.service(key)
					for _, p := range v.spec.Ports {
						if len(a.users) > 1 && slices.Contains(taken, p) {
							t.Fatalf("after %T: %s has %v twice", e, a.addr, p)
						}
						taken = append(taken, p)
					}
					if len(a.users) == 1 {
						continue
					}
					if v.spec.SharingKey == "" || v.spec.SharingKey != first.spec.SharingKey {
						t.Fatalf("after %T: %s is shared by keys %q and %q", e, a.addr, v.spec.SharingKey, first.spec.SharingKey)
					}
					if v.spec.TrafficPolicy != first.spec.TrafficPolicy || v.spec.TrafficPolicy == event.TrafficLocal &&
						(len(v.spec.Selector) == 0 || !slices.Equal(v.spec.Selector, first.spec.Selector)) {
						t.Fatalf("after %T: %s is shared by different backends", e, a.addr)
					}
				}
				return true
			})
		})
	})
}

// Property 2: every address is given from a pool that admits the Service, never an excluded, avoided or disputed one. (The
// ingressVIP is the ingress Service's by right, with the other family beside it; a pool that is edited later leaves what it gave.)
func TestEveryAddressIsGivenFromAPoolThatAdmitsTheService(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawAllocation(t, func(s *State, e event.Event, before *State) {
			s.services.scan(func(v *service) bool {
				for _, a := range v.addresses {
					if had, ok := before.service(v.key); ok && slices.Contains(had.addresses, a) || s.hasIngressVIP(v) {
						continue
					}
					r, inPool := s.rangeOf(a)
					if !inPool {
						t.Fatalf("%T gave %s, which is in no pool, to %s", e, a, v.key)
					}
					p, _ := s.pool(r.pool)
					if !s.admits(p, v) || !s.isAllocatable(a) {
						t.Fatalf("%T gave %s of pool %s to %s", e, a, p.name, v.key)
					}
				}
				return true
			})
		})
	})
}

// Property 3, stickiness: nothing but its own fact, or a pool edit that evicts, takes an address from a Service.
func TestAnAddressStaysUnlessItsOwnFactOrAnEvictionTakesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawAllocation(t, func(s *State, e event.Event, before *State) {
			before.services.scan(func(old *service) bool {
				now, _ := s.service(old.key)
				for _, a := range old.addresses {
					if concerns(e, old.key) || now != nil && slices.Contains(now.addresses, a) {
						continue
					}
					p, _ := before.pool(poolOf(before, a))
					_, still := s.rangeOf(a)
					if p == nil || p.onEdit() != event.OnEditEvict || still && old.spec.FamilyPolicy != event.RequireDualStack {
						t.Fatalf("%T took %s from %s", e, a, old.key)
					}
				}
				return true
			})
		})
	})
}

func poolOf(s *State, a netip.Addr) string {
	used, _ := s.addressOf(a)
	return used.pool
}

// Property 4: the ledger is the fold of the log: replay, snapshot and tail, and any restart point give byte-equal states.
func TestTheLedgerIsTheFoldOfTheLogFromAnyRestartPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var facts []event.Event
		var cuts []*State
		s := drawAllocation(t, func(s *State, e event.Event, before *State) {
			facts, cuts = append(facts, e), append(cuts, before)
		})
		want := s.Snapshot()
		for i := range rapid.IntRange(1, 4).Draw(t, "restarts") {
			cut := rapid.IntRange(0, len(cuts)-1).Draw(t, fmt.Sprint("cut ", i))
			again, err := Restore(cuts[cut].Snapshot())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range facts[cut:] {
				apply(again, e)
			}
			if got := again.Snapshot(); !bytes.Equal(got.Data, want.Data) || got.Digest != want.Digest {
				t.Fatalf("restarted at fact %d the ledger is another one", cut)
			}
			if diff := sameDerived(again, s); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// Property 5: permuting independent facts permutes nothing. Independent are two halves of a cluster that have no pool and no node
// in common; sequences are not compared.
func TestPermutingIndependentFactsPermutesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		halves := [2][]event.Event{drawHalf(t, 0), drawHalf(t, 1)}
		first, second := interleaved(t, halves, "first"), interleaved(t, halves, "second")
		if first != second {
			t.Fatalf("two orders of independent facts give\n%s\nand\n%s", first, second)
		}
	})
}

// drawHalf draws facts about one of two pools and the nodes that announce it.
func drawHalf(t *rapid.T, half int) []event.Event {
	pool, namespace := []string{"a", "b"}[half], []string{"red", "blue"}[half]
	var facts []event.Event
	for range rapid.IntRange(0, 40).Draw(t, "facts of pool "+pool) {
		name := fmt.Sprintf("s%d", rapid.IntRange(0, 5).Draw(t, "service"))
		node := 2*rapid.IntRange(0, 2).Draw(t, "node") + half
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			facts = append(facts, joined(node, "again"))
		case 1:
			facts = append(facts, event.NodeDrained{Address: nodeAddress(node)})
		case 2:
			facts = append(facts, event.NodeUndrained{Address: nodeAddress(node)})
		case 3, 4:
			facts = append(facts, event.ServiceDeleted{Namespace: namespace, Name: name, Source: "test"})
		case 5:
			facts = append(facts, event.EndpointsChanged{
				Namespace: namespace, Name: name, Source: "test", Nodes: []string{fmt.Sprintf("lb-%d", node+1)},
			})
		default:
			e := drawAnyService(t, namespace, name).(event.ServiceApplied)
			e.RequestedPool, e.RequestedAddresses, e.StatusAddresses = pool, nil, nil
			if e.SharingKey != "" {
				e.SharingKey += pool // a key that both halves have would make them depend on each other
			}
			facts = append(facts, e)
		}
	}
	return facts
}

// interleaved folds two halves in a random order of the two, and gives what a user sees, sequences apart.
func interleaved(t *rapid.T, halves [2][]event.Event, label string) string {
	s := New(testLog)
	at := func(e event.Event) { s.Apply(e, s.Sequence()+1, 1) } // at one instant: nothing cools off
	at(clusterOf(6))
	settings := event.DefaultSettings()
	for i, pool := range []string{"a", "b"} {
		selector := event.Selector{MatchLabels: []event.Label{{Key: "half", Value: fmt.Sprint(i)}}}
		settings.Pools = append(settings.Pools, event.PoolSettings{
			Name: pool, Announce: []event.AnnounceRule{{NodeSelectors: []event.Selector{selector}}},
		})
	}
	at(settings)
	at(event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.1.0/30", "fd00::1-fd00::2"}}})
	at(event.PoolAdded{Pool: event.Pool{Name: "b", Addresses: []string{"10.0.2.0/30", "fd00::11-fd00::12"}}})
	for i := range 6 {
		at(event.NodeLabelled{Address: nodeAddress(i), Labels: []event.Label{{Key: "half", Value: fmt.Sprint(i % 2)}}})
		at(joined(i, "first"))
	}
	rest := halves
	for len(rest[0])+len(rest[1]) > 0 {
		half := 0
		if len(rest[0]) == 0 || len(rest[1]) > 0 && rapid.Bool().Draw(t, label) {
			half = 1
		}
		at(rest[half][0])
		rest[half] = rest[half][1:]
	}
	addresses := s.AddressViews()
	for i := range addresses {
		addresses[i].Version = 0
	}
	nodes := s.NodeViews(nil)
	for i := range nodes {
		nodes[i].Incarnation = 0
	}
	return fmt.Sprintf("%v\n%v\n%v\n%v", s.ServiceViews(), addresses, s.PoolViews(), nodes)
}

// Property 6, conservation: free, in use, cooling and reserved addresses add up to the pool's, in numbers of any size; and 2 and 7
// again, from the records.
func TestFreeUsedCoolingAndReservedAddressesAreThePools(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawAllocation(t, func(s *State, e event.Event, _ *State) {
			if broken := invariant(s); broken != "" {
				t.Fatalf("after %T: %s", e, broken)
			}
		})
	})
}

// Property 7, progress: what becomes free goes to the oldest Service that it fits; nobody starves. No fact serves a Service from
// the queue while an older one, which wants the same, goes on waiting; and nobody waits for what is there. (What one gives up
// when its turn comes, after an eviction, goes first to those behind it.)
func TestWhatBecomesFreeGoesToTheOldestThatItFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawAllocation(t, func(s *State, e event.Event, before *State) {
			s.services.scan(func(served *service) bool {
				was, known := before.service(served.key)
				if !known || len(was.addresses) > 0 || len(served.addresses) == 0 || concerns(e, served.key) {
					return true
				}
				s.services.scan(func(v *service) bool {
					if len(v.addresses) == 0 && v.created < served.created && alike(v, served) && !gaveUpBetween(before, s, v, served) {
						t.Fatalf("%T served %s, and %s, which is older, waits", e, served.key, v.key)
					}
					return true
				})
				return true
			})
		})
	})
}

// gaveUpBetween tells whether a Service between two others, in the order of the queue, requires two families and has lost one.
func gaveUpBetween(before, s *State, older, younger *service) (found bool) {
	before.services.scan(func(was *service) bool {
		now, known := s.service(was.key)
		found = known && older.created < was.created && was.created < younger.created &&
			was.spec.FamilyPolicy == event.RequireDualStack && len(was.addresses) == 2 && !slices.Equal(was.addresses, now.addresses)
		return !found
	})
	return found
}

// alike tells whether two Services ask for the same, so that only their age decides.
func alike(a, b *service) bool {
	x, y := *a.spec, *b.spec
	return x.SharingKey == "" && y.SharingKey == "" && a.key.Namespace == b.key.Namespace &&
		len(x.RequestedAddresses)+len(y.RequestedAddresses)+len(x.StatusAddresses)+len(y.StatusAddresses) == 0 &&
		x.RequestedPool == y.RequestedPool && x.FamilyPolicy == y.FamilyPolicy &&
		slices.Equal(x.Families, y.Families) && slices.Equal(x.Labels, y.Labels)
}

// Property 8: a pool edit moves only those whose address left the pool, and what a plan foretells is what follows.
func TestAPoolEditMovesOnlyWhatLeftThePoolAndItsPlanIsItsEffect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawAllocation(t, func(s *State, e event.Event, before *State) {
			planned := before.Clone()
			if foretold := planned.Apply(e, s.Sequence(), s.TimeNanos()); planned.Digest() != s.Digest() {
				t.Fatalf("%T: another ledger follows than the plan's: %v", e, foretold)
			}
			switch e.(type) {
			case event.PoolEdited, event.PoolRemoved, event.PoolAdded:
			default:
				return
			}
			before.services.scan(func(old *service) bool {
				now, _ := s.service(old.key)
				left := slices.ContainsFunc(old.addresses, func(a netip.Addr) bool {
					_, still := s.rangeOf(a)
					return !still
				})
				if len(old.addresses) > 0 && !left && !slices.Equal(now.addresses[:min(len(now.addresses), len(old.addresses))], old.addresses) &&
					!containsAll(now.addresses, old.addresses) {
					t.Fatalf("%T moved %s from %v to %v", e, old.key, old.addresses, now.addresses)
				}
				return true
			})
		})
	})
}

func containsAll(list, wanted []netip.Addr) bool {
	return !slices.ContainsFunc(wanted, func(a netip.Addr) bool { return !slices.Contains(list, a) })
}

// Property 9: a released address is not given to another before its cooldown while another address that it could have is free.
func TestAnAddressCoolsWhileAnotherIsFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawAllocation(t, func(s *State, e event.Event, before *State) {
			s.services.scan(func(v *service) bool {
				had, _ := before.service(v.key)
				for _, a := range v.addresses {
					c, cooled := before.coolings.Get(cooling{addr: a})
					if had != nil && slices.Contains(had.addresses, a) || !cooled || c.until <= s.time || c.keeper == v.key ||
						slices.Contains(v.spec.RequestedAddresses, a) {
						continue
					}
					r, _ := s.rangeOf(a)
					p, _ := s.pool(r.pool)
					if free, ok := s.lowestFree(p, event.FamilyOf(a)); ok && s.quotaLeft(p, v.key.Namespace) > 0 {
						t.Fatalf("%T gave %s, which cools after %s, to %s while %s is free", e, a, c.keeper, v.key, free)
					}
				}
				return true
			})
		})
	})
}

// Property 10: two families come together or by policy: RequireDualStack has both or none, and both come from one pool when they
// are given.
func TestTwoFamiliesComeTogetherOrByPolicy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawAllocation(t, func(s *State, e event.Event, before *State) {
			s.services.scan(func(v *service) bool {
				n := len(v.addresses)
				if v.spec.FamilyPolicy == event.RequireDualStack && n == 1 {
					t.Fatalf("after %T: %s requires both families and has %v", e, v.key, v.addresses)
				}
				if n > len(v.wants()) || n == 2 && event.FamilyOf(v.addresses[0]) == event.FamilyOf(v.addresses[1]) {
					t.Fatalf("after %T: %s has %v", e, v.key, v.addresses)
				}
				had, _ := before.service(v.key)
				if n == 2 && (had == nil || !containsAll(had.addresses, v.addresses)) && poolOf(s, v.addresses[0]) != poolOf(s, v.addresses[1]) {
					t.Fatalf("%T gave %s addresses of two pools", e, v.key)
				}
				return true
			})
		})
	})
}

// Property 11: an address has one owner, whoever uses it, and one that may announce it for all of them; else it says why it has
// none.
func TestAnAddressHasOneOwnerForAllItsUsersOrSaysWhyNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := begin()
		for range rapid.IntRange(1, 80).Draw(t, "length") {
			e := drawFact(t, s)
			apply(s, e)
			for _, view := range s.AddressViews() {
				a, _ := s.addressOf(netip.MustParseAddr(view.Address))
				if (view.Owner == "") != strings.HasPrefix(view.Reason, "no owner: ") {
					t.Fatalf("after %T: %s has owner %q and reason %q", e, view.Address, view.Owner, view.Reason)
				}
				if len(a.list) == 0 {
					continue
				}
				n, _ := s.node(a.list[0].Node)
				for _, key := range a.users {
					if v, _ := s.service(key); v.spec.TrafficPolicy == event.TrafficLocal && !s.serves(n, key) {
						t.Fatalf("after %T: %s announces %s and has no endpoint of %s", e, n.name, a.addr, key)
					}
				}
			}
		}
	})
}

// Property 13, balance: among equally eligible nodes the most and the least loaded differ by at most one, after any arrivals and after
// a rebalance, which moves no more than it must.
func TestArrivalsAndARebalanceLeaveLoadsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.IntRange(1, 8).Draw(t, "nodes")
		s := running(nodes)
		arrivals := rapid.IntRange(0, 60).Draw(t, "arrivals")
		for range arrivals {
			e := declared(fmt.Sprint("s", rapid.IntRange(0, 200).Draw(t, "service")))
			apply(s, e)
		}
		if spread(s) > 1 {
			t.Fatalf("after arrivals loads differ by %d", spread(s))
		}
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			node := rapid.IntRange(0, nodes-1).Draw(t, "node")
			apply(s, rapid.SampledFrom([]event.Event{
				failed(s, node), joined(node, "again"),
				event.NodeDrained{Address: nodeAddress(node)},
				event.NodeUndrained{Address: nodeAddress(node)},
			}).Draw(t, "event"))
		}
		before := owners(s)
		apply(s, event.RebalanceRequested{Reason: event.RebalanceByOperator})
		least, most, forced := 1<<30, 0, 0
		for _, n := range s.nodes.rows {
			if n.status == nodeJoined && !n.drained {
				least, most = min(least, s.owned(n)), max(most, s.owned(n))
			}
		}
		if len(owners(s)) > 0 && most > 0 && most-least > 1 {
			t.Fatalf("after a rebalance loads differ by %d", most-least)
		}
		// What any even plan must move: all that a node has above its share, where the larger shares go to the fullest.
		var loads []int
		for _, n := range s.nodes.rows {
			if n.status == nodeJoined && !n.drained {
				load := 0
				for _, list := range before {
					if len(list) > 0 && list[0].Node == n.address {
						load++
					}
				}
				loads = append(loads, load)
			}
		}
		slices.SortFunc(loads, func(a, b int) int { return b - a })
		total := 0
		for _, load := range loads {
			total += load
		}
		for i, load := range loads {
			share := total / len(loads)
			if i < total%len(loads) {
				share++
			}
			forced += max(0, load-share)
		}
		if moved := movesBetween(before, owners(s)); moved != forced && len(loads) > 0 {
			t.Fatalf("the rebalance moved %d addresses, %d must move", moved, forced)
		}
	})
}

// Property 14: a node's return moves nothing.
func TestANodesReturnMovesNoAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := begin()
		for range rapid.IntRange(1, 80).Draw(t, "length") {
			e := drawFact(t, s)
			before := owners(s)
			joins, isJoin := e.(event.NodeJoined)
			n, _ := s.node(nodeAddress(0))
			if isJoin {
				n, _ = s.node(joins.Address)
			}
			restarts := n.status == nodeJoined // ends an incarnation, whose addresses go to standbys
			apply(s, e)
			if !isJoin || restarts {
				continue
			}
			for a, list := range owners(s) {
				if had := before[a]; len(had) > 0 && had[0] != list[0] {
					t.Fatalf("the return of %s moved %s from %s to %s", joins.Address, a, had[0].Node, list[0].Node)
				}
			}
		}
	})
}
