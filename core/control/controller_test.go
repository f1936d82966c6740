package control

import (
	"crypto/ed25519"
	"crypto/sha256"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
)

const watchedLog = "watched"

func voterKey(id string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(id))
	return ed25519.NewKeyFromSeed(seed[:])
}

func voterAdded(id string) event.Event {
	return event.VoterAdded{ID: id, Address: netip.MustParseAddr("10.0.0.2"), Key: voterKey(id).Public().(ed25519.PublicKey)}
}

var (
	watchedNode = netip.MustParseAddr("10.0.0.9")
	watchedLife = lease.Incarnation{Node: watchedNode, Join: 3}
)

// watching is a controller that has folded a cluster with a voter, a node, and what is added.
func watching(t *testing.T, more ...event.Event) *Controller {
	t.Helper()
	c := NewController(watchedLog, 0)
	facts := append([]event.Event{
		event.ClusterConfigured{
			Name: "watched", ClusterType: "user", ControlPlaneLBPort: 443, ControlPlaneVIP: netip.MustParseAddr("10.0.0.250"),
			ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20")},
			Nodes:        []event.DeclaredNode{{Address: watchedNode, Role: event.RoleLoadBalancer}},
		},
		voterAdded("a"),
		event.NodeJoined{Address: watchedNode, Name: "n", StartID: "1", MachineID: "m", Interfaces: []event.Interface{
			{Name: "eth0", MAC: "02:00:00:00:00:01", Up: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}},
		}},
	}, more...)
	for i, e := range facts {
		record, err := event.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		c.Folded([]log.Entry{{Fact: log.Fact{Record: record}, Sequence: uint64(i + 1), Time: time.Unix(1, 0)}})
	}
	return c
}

func vote(voter string, set uint64) lease.Vote {
	message := event.VoteMessage(watchedLog, watchedLife.Node, watchedLife.Join, set)
	return lease.Vote{Voter: voter, Set: set, Dead: watchedLife, Signature: ed25519.Sign(voterKey(voter), message)}
}

func word(voter string, set, applied uint64, votes ...lease.Vote) lease.Word {
	return lease.Word{Log: watchedLog, Voter: voter, Set: set, Applied: applied, Votes: votes}
}

func dueTypes(c *Controller) (types []string) {
	for _, e := range c.Due(0) {
		types = append(types, event.TypeOf(e))
	}
	return types
}

func TestAChangeOfVotersIsSettledWhenItIsInForceEverywhere(t *testing.T) {
	const set = 4 // of the voters a and b
	for _, test := range []struct {
		name    string
		words   []lease.Word
		settled bool
	}{
		{"all have folded it, and acted upon it", []lease.Word{word("a", set, 4), word("b", set, 3)}, true},
		{"one voter was not heard", []lease.Word{word("a", set, 4)}, false},
		{"one voter has not folded it", []lease.Word{word("a", set, 4), word("b", 2, 4)}, false},
		{"a node has not acted upon it", []lease.Word{word("a", set, 3), word("b", set, 3)}, false},
		{"a voter accuses someone who is not out", []lease.Word{word("a", set, 4, vote("a", set)), word("b", set, 4)}, false},
		{"who was removed need not answer", []lease.Word{word("a", set, 4), word("b", set, 4), word("gone", 2, 0)}, true},
		{"a word of another log", []lease.Word{word("a", set, 4), {Log: "other", Voter: "b", Set: set, Applied: 4}}, false},
	} {
		c := watching(t, voterAdded("b"))
		for _, w := range test.words {
			c.Heard(w)
		}
		if got := slices.Contains(dueTypes(c), "viplog.VotersSettled.v1"); got != test.settled {
			t.Errorf("%s: settled %t", test.name, got)
		}
	}
}

func TestDeathsAreToldWithTheirProof(t *testing.T) {
	c := watching(t)
	forged := vote("a", 2)
	forged.Signature = []byte("forged")
	c.Heard(word("a", 2, 3, forged))
	if due := dueTypes(c); slices.Contains(due, "viplog.NodeFailed.v1") {
		t.Fatalf("a forged vote proves a death: %v", due)
	}
	c.Heard(word("a", 2, 3, vote("a", 2)))
	due := c.Due(0)
	failed, ok := due[0].(event.NodeFailed)
	if !ok || failed.Incarnation != watchedLife.Join || len(failed.Votes) != 1 {
		t.Fatalf("due: %+v", due)
	}
	if changes := c.Ledger.Clone().Apply(failed, c.Ledger.Sequence()+1, 0); changes[0].Kind == ledger.Rejected {
		t.Fatalf("the ledger rejects it: %s", changes[0].Reason)
	}
}

func TestVotersAreReplacedOneAtATime(t *testing.T) {
	c := watching(t)
	c.Want([]ledger.Voter{{ID: "b", Address: netip.MustParseAddr("10.0.0.3"), Key: voterKey("b").Public().(ed25519.PublicKey)}})
	if due := dueTypes(c); !slices.Contains(due, "viplog.VoterAdded.v1") || slices.Contains(due, "viplog.VoterRemoved.v1") {
		t.Errorf("the only voter goes before there is another: %v", due)
	}
	c = watching(t, voterAdded("b"))
	c.Want([]ledger.Voter{{ID: "b"}})
	if due := dueTypes(c); slices.Contains(due, "viplog.VoterRemoved.v1") {
		t.Errorf("voters change before the last change is settled: %v", due)
	}
	c = watching(t, voterAdded("b"), event.VotersSettled{Set: 4})
	c.Want([]ledger.Voter{{ID: "b"}})
	if due := dueTypes(c); !slices.Contains(due, "viplog.VoterRemoved.v1") {
		t.Errorf("a voter that is not wanted stays: %v", due)
	}
}

func TestOfVotersThatAreToGoTheDeadOnesGoFirst(t *testing.T) {
	address := func(id string, host int) ledger.Voter {
		return ledger.Voter{ID: id, Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(host)}), Key: voterKey(id).Public().(ed25519.PublicKey)}
	}
	added := func(v ledger.Voter) event.Event { return event.VoterAdded{ID: v.ID, Address: v.Address, Key: v.Key} }
	c := watching(t, added(address("b", 3)), event.VotersSettled{Set: 4}, added(address("c", 4)), event.VotersSettled{Set: 6})
	c.Want([]ledger.Voter{address("a", 2), address("another", 4)})
	if due := c.Due(0); !slices.ContainsFunc(due, func(e event.Event) bool { return cmp.Equal(e, event.Event(event.VoterRemoved{ID: "c"})) }) {
		t.Errorf("b goes before c, whose host has lost its disk: %v", due)
	}
}

func TestNothingIsDueBeforeWhatTheLogHeldIsFolded(t *testing.T) {
	c := watching(t)
	c.Want([]ledger.Voter{{ID: "b"}})
	late := NewController(watchedLog, c.Ledger.Sequence()+1)
	late.Restored(c.Ledger.Clone())
	late.Want([]ledger.Voter{{ID: "b"}})
	if len(c.Due(0)) == 0 || len(late.Due(0)) > 0 {
		t.Errorf("due to one that has folded all: %v; to one that has not: %v", c.Due(0), late.Due(0))
	}
}

// A voter that has not folded as far as before does not know its votes yet: it must not say that it has folded a set.
func TestADoubtSettlesNothingThatAVoteForbids(t *testing.T) {
	now, x := lease.Instant(time.Hour), watchedLife
	y := lease.Incarnation{Node: x.Node.Next(), Join: 2}
	m := lease.Membership{Sequence: 12, Live: []lease.Incarnation{x, y}}
	m.Before, m.Now = lease.VoterSet{Version: 2, Voters: []string{"a"}}, lease.VoterSet{Version: 4, Voters: []string{"a", "b"}}
	disk := lease.VoterDisk{Voter: "a", Log: watchedLog, Since: 20, Dead: []lease.Incarnation{x}}
	v := lease.NewVoter(disk, lease.Default, nil, lease.VoterStart{Now: now})
	other := lease.Digest{Sequence: 12, Sum: [32]byte{2}}
	for _, ready := range []lease.VoterReady{
		v.Fold(now, m, nil),
		v.Digested(now, lease.Digest{Sequence: 12, Sum: [32]byte{1}}),
		v.Renewed(now, lease.Renew{Log: watchedLog, Set: 4, From: x, Number: 1, Applied: 12}),
		v.Renewed(now, lease.Renew{Log: watchedLog, Set: 4, From: y, Number: 1, Applied: 12, Digest: other}),
	} {
		if ready.Word != nil {
			t.Errorf("it says %+v, although it does not know yet that it has voted against %v", *ready.Word, x)
		}
	}
}
