// Package eventtest makes long logs of facts, for benchmarks and tests that need one.
package eventtest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"

	"viplog/core/event"
)

// Churn is the life of a cluster: nodes join, Services arrive until so many are there, and from then on Services come, go and
// change, pods roll, and now and then a node is labelled, or dies and returns.
type Churn struct {
	LogID    string // of the log that takes the facts: votes name it
	Nodes    int    // load-balancer nodes
	Services int    // that live at a time, once they have arrived
	Seed     uint64
}

// NodeEvery is how many facts lie between two facts about a node.
const NodeEvery = 10_000

// voter signs the deaths of churned nodes.
var voter = func() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("the one voter of churned clusters"))
	return ed25519.NewKeyFromSeed(seed[:])
}()

// Start gives the facts before the first Service: the cluster, one voter, one pool and every node.
func (c Churn) Start() []event.Event {
	cluster := event.ClusterConfigured{
		Name: "churn", ClusterType: "user", ControlPlaneLBPort: 443,
		ControlPlaneVIP: netip.MustParseAddr("10.0.0.250"), IngressVIP: netip.MustParseAddr("10.4.0.0"),
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20")},
	}
	for i := range c.Nodes {
		cluster.Nodes = append(cluster.Nodes, event.DeclaredNode{Address: NodeAddress(i), Role: event.RoleLoadBalancer})
	}
	facts := []event.Event{
		cluster,
		event.VoterAdded{ID: "v1", Address: NodeAddress(0), Key: voter.Public().(ed25519.PublicKey)},
		event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{"10.4.0.0/14"}}},
	}
	for i := range c.Nodes {
		facts = append(facts, Joined(i, "first"))
	}
	return facts
}

// NodeAddress is that of a churned node.
func NodeAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)}) }

// Joined says that a churned node has started.
func Joined(i int, start string) event.NodeJoined {
	return event.NodeJoined{
		Address: NodeAddress(i), Name: fmt.Sprintf("lb-%d", i+1), StartID: start, MachineID: fmt.Sprint("machine-", i),
		Interfaces: []event.Interface{{
			Name: "eth0", MAC: "02:00:00:00:00:01", Up: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		}},
	}
}

// Failed proves a churned node's incarnation dead. The set is the sequence of the one VoterAdded, 2 in a churned log.
func Failed(logID string, i int, incarnation, set uint64) event.NodeFailed {
	message := event.VoteMessage(logID, NodeAddress(i), incarnation, set)
	return event.NodeFailed{
		Address: NodeAddress(i), Incarnation: incarnation, Set: set,
		Votes: []event.Vote{{Voter: "v1", Signature: ed25519.Sign(voter, message)}},
	}
}

// Service declares the numbered Service, as it is after so many changes.
func Service(number, changes int) event.ServiceApplied {
	return event.ServiceApplied{
		Namespace: fmt.Sprintf("team-%d", number%100), Name: fmt.Sprintf("web-%d", number), Source: "files",
		Families: []string{event.FamilyIPv4}, FamilyPolicy: event.SingleStack, TrafficPolicy: event.TrafficCluster,
		Ports:  []event.Port{{Protocol: "TCP", Port: 80}, {Protocol: "TCP", Port: uint16(8000 + changes)}},
		Labels: []event.Label{{Key: "app", Value: "web"}},
	}
}

// Facts yields n facts, the same ones for the same Churn; their sequences must be 1 to n. After the start and the arrivals a
// quarter of the facts are new Services, a quarter deletions, a fifth changes of a Service and the rest endpoints.
func (c Churn) Facts(n int) iter.Seq[event.Event] {
	return func(yield func(event.Event) bool) {
		random := rand.New(rand.NewPCG(c.Seed, 0))
		var live, changes []int
		incarnations, dead := make([]uint64, c.Nodes), -1
		start, next := c.Start(), 0
		for sequence := 1; sequence <= n; sequence++ {
			var e event.Event
			pick, draw := 0, random.IntN(100)
			if len(live) > 0 {
				pick = random.IntN(len(live))
			}
			switch {
			case sequence <= len(start):
				e = start[sequence-1]
				if joined := sequence - 4; joined >= 0 {
					incarnations[joined] = uint64(sequence)
				}
			case sequence%NodeEvery == 0 && dead >= 0:
				e, incarnations[dead] = Joined(dead, fmt.Sprint("start-", sequence)), uint64(sequence)
				dead = -1
			case sequence%NodeEvery == 0 && random.IntN(2) == 0:
				dead = random.IntN(c.Nodes)
				e = Failed(c.LogID, dead, incarnations[dead], 2)
			case sequence%NodeEvery == 0:
				e = event.NodeLabelled{Address: NodeAddress(random.IntN(c.Nodes)), Labels: []event.Label{{Key: "rack", Value: fmt.Sprint(draw)}}}
			case len(live) < c.Services && (draw < 25 || next < c.Services):
				e = Service(next, 0)
				live, changes = append(live, next), append(changes, 0)
				next++
			case draw < 50:
				gone := Service(live[pick], 0)
				e = event.ServiceDeleted{Namespace: gone.Namespace, Name: gone.Name, Source: gone.Source}
				last := len(live) - 1
				live[pick], changes[pick] = live[last], changes[last]
				live, changes = live[:last], changes[:last]
			case draw < 70:
				changes[pick]++
				e = Service(live[pick], changes[pick])
			default:
				s := Service(live[pick], 0)
				nodes := []string{fmt.Sprintf("lb-%d", 1+random.IntN(c.Nodes))}
				e = event.EndpointsChanged{Namespace: s.Namespace, Name: s.Name, Source: s.Source, Nodes: nodes}
			}
			if !yield(e) {
				return
			}
		}
	}
}
