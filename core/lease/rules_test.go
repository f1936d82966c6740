package lease

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"viplog/core/ledger"
)

// Single rules, each by itself; lease_test.go holds them together in random worlds.

var (
	one   = Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, 1}), Join: 5}
	other = Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, 2}), Join: 6}
	start = Instant(time.Hour)
)

func setOfThree(version uint64) VoterSet { return VoterSet{version, []string{"a", "b", "c"}} }

func memberships(sequence uint64, now VoterSet) Membership {
	return Membership{Sequence: sequence, Now: now, Live: []Incarnation{one, other}}
}

func TestAProofNeedsAMajorityOfOneSet(t *testing.T) {
	m := memberships(9, setOfThree(4))
	vote := func(voter string, set uint64) Vote { return Vote{Voter: voter, Set: set, Dead: one} }
	for _, test := range []struct {
		name  string
		votes []Vote
		proof bool
	}{
		{"none", nil, false},
		{"one of three", []Vote{vote("a", 4)}, false},
		{"two of three", []Vote{vote("a", 4), vote("c", 4)}, true},
		{"of two sets", []Vote{vote("a", 4), vote("c", 3)}, false},
		{"of who is no voter", []Vote{vote("a", 4), vote("x", 4)}, false},
	} {
		if got := Proof(test.votes, m, one) != nil; got != test.proof {
			t.Errorf("%s: a proof: %t", test.name, got)
		}
	}
}

func TestGrantsOfDifferentSetsNeverAddUp(t *testing.T) {
	h := NewHolder("log", one, 0, Default, func(Vote) bool { return true }, start)
	m := memberships(9, setOfThree(4))
	ready := h.Fold(start, m)
	renew := ready.Renewals[0].Renew
	answer := func(voter string, set uint64) Answer {
		return Answer{Log: "log", Voter: voter, To: one, Serial: 1, Number: renew.Number, Set: set, Granted: true}
	}
	h.Answered(start, answer("a", 4))
	h.Answered(start, answer("b", 3))
	if h.Until() > start {
		t.Error("grants under the sets 4 and 3 make a lease")
	}
	h.Answered(start, answer("b", 4))
	if want := start.Add(Default.held()); h.Until() != want {
		t.Errorf("two grants under one set make a lease until %d, not %d", h.Until(), want)
	}
}

// folds lets a voter fold and gives it a disk that is done at once.
func folds(v *Voter, m Membership, awaited []Awaited) VoterReady {
	ready := v.Fold(start, m, awaited)
	if ready.Persist != nil {
		v.Persisted(start, *ready.Persist)
	}
	return ready
}

func testVoter(disk VoterDisk) *Voter {
	return NewVoter(disk, Default, func([]byte) []byte { return nil }, VoterStart{Now: start})
}

// granted lets a node renew twice, so that it has heard the voter the second time.
func granted(v *Voter, who Incarnation, set uint64, at Instant, lease time.Duration) bool {
	renew := Renew{Log: "log", Set: set, From: who, Number: uint64(at), Lease: lease}
	first := v.Renewed(at, renew)
	renew.Number++
	renew.Heard = first.Answers[0].Serial
	return v.Renewed(at+1, renew).Answers[0].Granted
}

func TestARestartedVoterDoesNothingBeforeItHasFoldedAsFarAsBefore(t *testing.T) {
	v := testVoter(VoterDisk{Voter: "a", Log: "log"})
	ready := folds(v, memberships(9, setOfThree(8)), nil)
	if ready.Persist == nil || ready.Persist.Since != 8 {
		t.Fatalf("a voter notes the set that it acts under: %+v", ready.Persist)
	}
	again := testVoter(*ready.Persist)
	folds(again, memberships(7, VoterSet{4, []string{"a"}}), nil)
	if granted(again, one, 4, start, Default.Lease) {
		t.Error("it grants under a set that it had left behind")
	}
	late := start.Add(10 * Default.Lease)
	again.Renewed(late-1, Renew{Log: "log", From: Incarnation{Node: other.Node}})
	again.Wake(late.Add(Default.Lease / 2))
	if again.Wake(late.Add(Default.Lease)).Word != nil {
		t.Error("it suspects under a set that it had left behind")
	}
	again.Fold(late, memberships(9, setOfThree(8)), nil)
	if !granted(again, one, 8, late+2, Default.Lease) {
		t.Error("having folded again it does not grant")
	}
}

// A node echoes the last serial that it heard, for as long as a link carries only its own words. A voter that counted from
// the same number at each start would come by it, and take the node for one that hears.
func TestWhatANodeHeardOfAnEarlierProcessProvesNothing(t *testing.T) {
	before := testVoter(VoterDisk{Voter: "a", Log: "log"})
	folds(before, memberships(9, setOfThree(4)), nil)
	renew := Renew{Log: "log", Set: 4, From: one, Lease: Default.Lease}
	for range 3 {
		renew.Number++
		renew.Heard = before.Renewed(start, renew).Answers[0].Serial
	}
	again := NewVoter(VoterDisk{Voter: "a", Log: "log"}, Default, nil, VoterStart{Now: start, Serial: 1 << 32})
	folds(again, memberships(9, setOfThree(4)), nil)
	for range 9 {
		renew.Number++
		if again.Renewed(start, renew).Answers[0].Granted {
			t.Fatalf("renewal %d says what an earlier process said, and is granted", renew.Number)
		}
	}
}

func TestWhatIsNotGranted(t *testing.T) {
	fresh := func() *Voter {
		v := testVoter(VoterDisk{Voter: "a", Log: "log"})
		folds(v, memberships(9, setOfThree(4)), nil)
		return v
	}
	if !granted(fresh(), one, 4, start, Default.Lease) {
		t.Error("a plain renewal is not granted")
	}
	if granted(fresh(), one, 3, start, Default.Lease) {
		t.Error("a renewal under a set that is not in force is granted")
	}
	if granted(fresh(), one, 4, start, Relaxed.Lease) {
		t.Error("a lease longer than the promise is granted")
	}
	v := fresh()
	v.Renewed(start, Renew{Log: "log", Set: 4, From: one, Number: 1})
	for i := range uint64(20) { // it never hears an answer
		at := start.Add(time.Duration(i+1) * Default.Heartbeat)
		if v.Renewed(at, Renew{Log: "log", Set: 4, From: one, Number: i + 2}).Answers[0].Granted {
			t.Error("a renewal over a one-way link is granted")
		}
	}
	v = fresh()
	v.Resigned(start, Resign{Log: "log", Who: one})
	if granted(v, one, 4, start, Default.Lease) {
		t.Error("one that has resigned is granted")
	}
}

func TestAGreetingIsAnsweredAndPromisesNothing(t *testing.T) {
	v := testVoter(VoterDisk{Voter: "a", Log: "log"})
	folds(v, memberships(9, setOfThree(4)), nil)
	ready := v.Renewed(start, Renew{Log: "log", From: Incarnation{Node: other.Node}, Number: 1, Set: 4})
	if len(ready.Answers) != 1 || ready.Answers[0].Granted || ready.Answers[0].Number != 1 || len(v.peers) != 2 {
		t.Errorf("%+v", ready)
	}
}

func TestALateNodeIsRefusedOnlyIfItHoldsOthersUp(t *testing.T) {
	after := start.Add(patience + time.Second)
	third := Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, 3}), Join: 7}
	three, two := []Incarnation{one, other, third}, []Incarnation{one, other}
	for _, test := range []struct {
		name    string
		live    []Incarnation
		awaited []Awaited // by the log
		awaits  uint64    // what the others say
		others  uint64    // what the others have acted upon
		folded  uint64    // what it has read
		granted bool
	}{
		{"nobody waits for it", three, nil, 0, 9, 7, true},
		{"it holds the others up", three, []Awaited{{one, 8}}, 0, 9, 7, false},
		{"it holds the other of two up", two, []Awaited{{one, 8}}, 0, 9, 7, false},
		{"it holds up others that went on from a snapshot", three, nil, 8, 9, 7, false},
		{"others wait for a fact that is not there, and it holds them up", three, []Awaited{{one, 8}}, 1 << 60, 9, 7, false},
		{"the others are late too: the log is at fault", three, []Awaited{{one, 8}}, 0, 7, 7, true},
		{"it has read the fact, and can act under a lease", three, []Awaited{{one, 8}}, 0, 9, 8, true},
	} {
		v := testVoter(VoterDisk{Voter: "a", Log: "log"})
		m := memberships(7, setOfThree(4))
		m.Live = test.live
		folds(v, m, nil)
		for _, who := range m.Live {
			v.Renewed(start, Renew{Log: "log", Set: 4, From: who, Number: 1, Folded: 7, Applied: 7, Awaits: test.awaits})
		}
		m.Sequence = 9
		folds(v, m, test.awaited)
		for i, at := range []Instant{start, after - 2} {
			for _, who := range m.Live[1:] {
				v.Renewed(at, Renew{
					Log: "log", Set: 4, From: who, Number: uint64(2 + i), Folded: 9, Applied: test.others, Awaits: test.awaits,
				})
			}
		}
		v.Renewed(after-1, Renew{Log: "log", Set: 4, From: one, Number: 4, Folded: test.folded, Applied: 7})
		if got := granted(v, one, 4, after, Default.Lease); got != test.granted {
			t.Errorf("%s: granted %t", test.name, got)
		}
	}
}

func TestWhoIsWaitedForWhenListsChange(t *testing.T) {
	third := Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, 3}), Join: 7}
	got := AwaitedIn([]ledger.ListChange{
		{Before: []Incarnation{one, other}, After: []Incarnation{other, third}},
		{After: []Incarnation{third, one}},
		{Before: []Incarnation{one}},
	}, 9)
	if want := []Awaited{{one, 9}, {other, 9}, {third, 9}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestANodeHasActedUponAChangeOfVotersWhenItsLeaseCountsUnderThem(t *testing.T) {
	h := NewHolder("log", one, 0, Default, func(Vote) bool { return true }, start)
	m := memberships(9, VoterSet{4, []string{"a"}})
	renew := h.Fold(start, m).Renewals[0].Renew
	h.Answered(start, Answer{Log: "log", Voter: "a", To: one, Serial: 1, Number: renew.Number, Set: 4, Granted: true})
	m.Before, m.Now, m.Sequence = m.Now, VoterSet{10, []string{"a", "b"}}, 10
	h.Fold(start+1, m)
	for _, r := range h.Report(start+2, 10, 10, 0).Renewals {
		if r.Renew.Applied != 9 || r.Renew.Folded != 10 {
			t.Errorf("between two sets it says that it has acted upon %d", r.Renew.Applied)
		}
	}
	for _, r := range h.Wake(start.Add(Default.Lease)).Renewals { // the old lease is over
		if r.Renew.Applied != 10 || r.Renew.Set != 10 {
			t.Errorf("under the new set it says that it has acted upon %d, and renews under %d", r.Renew.Applied, r.Renew.Set)
		}
	}
}

func TestALateNodeIsRefusedUnderTheVotersBefore(t *testing.T) {
	third := Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, 3}), Join: 7}
	after := start.Add(patience + time.Second)
	for _, test := range []struct {
		name        string
		set, folded uint64
		want        bool
	}{
		{"it has read the fact, and lacks a lease under the new voters to act upon it", 8, 9, true},
		{"under the voters before", 4, 9, false},
		{"it has not read the fact", 8, 8, false},
	} {
		v := testVoter(VoterDisk{Voter: "a", Log: "log"})
		m := Membership{Sequence: 9, Now: VoterSet{8, []string{"a", "b"}}, Before: setOfThree(4), Live: []Incarnation{one, other, third}}
		folds(v, m, []Awaited{{one, 9}})
		renew := func(who Incarnation, number, heard, folded, applied uint64) Answer {
			ready := v.Renewed(after, Renew{
				Log: "log", Set: test.set, From: who, Number: number, Heard: heard, Folded: folded, Applied: applied, Lease: Default.Lease,
			})
			return ready.Answers[0]
		}
		renew(other, 1, 0, 9, 9)
		renew(third, 1, 0, 9, 9)
		first := renew(one, 1, 0, test.folded, 7)
		if got := renew(one, 2, first.Serial, test.folded, 7).Granted; got != test.want {
			t.Errorf("%s: granted: %t", test.name, got)
		}
	}
}

func TestANodeThatKeepsVotersUnsettledGivesItselfUp(t *testing.T) {
	for _, test := range []struct {
		name   string
		voters []string
		want   bool
	}{
		{"a voter that stays voted against it", []string{"a", "b", "c", "d"}, true},
		{"a voter that goes voted against it", []string{"a", "b"}, false},
	} {
		h := NewHolder("log", one, 0, Default, func(Vote) bool { return true }, start)
		m := memberships(9, setOfThree(4))
		number := h.Fold(start, m).Renewals[0].Renew.Number
		for _, voter := range []string{"a", "b"} {
			h.Answered(start, Answer{Log: "log", Voter: voter, To: one, Serial: 1, Number: number, Set: 4, Granted: true})
		}
		against := Answer{Log: "log", Voter: "c", To: one, Serial: 1, Votes: []Vote{{Voter: "c", Set: 4, Dead: one}}}
		if h.Answered(start, against); h.HasResigned() {
			t.Errorf("%s: it has given itself up before the voters change", test.name)
		}
		m.Sequence, m.Before, m.Now = 10, m.Now, VoterSet{10, test.voters}
		h.Fold(start, m)
		if got := h.HasResigned(); got != test.want {
			t.Errorf("%s: it has given itself up: %t", test.name, got)
		}
		if isLeased := h.Until() > start; isLeased == test.want {
			t.Errorf("%s: it holds a lease: %t", test.name, isLeased)
		}
	}
}

func TestAVoteIsToldWhenItIsDurable(t *testing.T) {
	v := testVoter(VoterDisk{Voter: "a", Log: "log"})
	folds(v, memberships(9, VoterSet{4, []string{"a"}}), nil)
	ready, now := VoterReady{}, start
	for range 20 {
		now = now.Add(Default.Heartbeat)
		ready = v.Renewed(now, Renew{Log: "log", From: Incarnation{Node: other.Node}}) // it is not away itself
		if ready.Persist != nil {
			break
		}
	}
	if ready.Persist == nil || !slices.Contains(ready.Persist.Dead, one) {
		t.Fatalf("it does not vote against who did not renew: %+v", ready)
	}
	if ready.Word != nil && len(ready.Word.Votes) > 0 {
		t.Error("it tells a vote that it may forget")
	}
	if granted(v, one, 4, now, Default.Lease) {
		t.Error("it grants although it has voted")
	}
	ready = v.Persisted(now+2, *ready.Persist)
	if ready.Word == nil || len(ready.Word.Votes) != 2 {
		t.Errorf("it does not tell its votes when they are durable: %+v", ready.Word)
	}
}

func TestAVoterActsUnderASetWhenItsDiskNamesIt(t *testing.T) {
	v := testVoter(VoterDisk{Voter: "a", Log: "log"})
	folds(v, memberships(9, VoterSet{4, []string{"a"}}), nil)
	m := memberships(10, VoterSet{10, []string{"a", "b"}})
	m.Before = VoterSet{4, []string{"a"}}
	ready := v.Fold(start, m, nil)
	if granted(v, one, 10, start, Default.Lease) {
		t.Error("it grants under a set that it may forget")
	}
	if !granted(v, other, 4, start, Default.Lease) {
		t.Error("it does not grant under the set before")
	}
	v.Persisted(start, *ready.Persist)
	if !granted(v, one, 10, start+2, Default.Lease) {
		t.Error("it does not grant under a set that is durable")
	}
}

func TestRenewalsOfTwoSetsOvertakeEachOther(t *testing.T) {
	v := testVoter(VoterDisk{Voter: "a", Log: "log"})
	m := memberships(10, VoterSet{10, []string{"a", "b"}})
	m.Before = VoterSet{4, []string{"a"}}
	folds(v, m, nil)
	answers := func(set, number uint64) int {
		return len(v.Renewed(start, Renew{Log: "log", Set: set, From: one, Number: number, Lease: Default.Lease}).Answers)
	}
	if answers(10, 2) != 1 || answers(4, 1) != 1 {
		t.Error("a renewal under one set hides one under the other")
	}
	if answers(10, 2) != 0 || answers(4, 1) != 0 {
		t.Error("a renewal is answered twice")
	}
}

func TestWhoIsOutIsTold(t *testing.T) {
	v := testVoter(VoterDisk{Voter: "a", Log: "log"})
	m := memberships(9, setOfThree(4))
	m.Live = []Incarnation{other}
	folds(v, m, nil)
	ready := v.Renewed(start, Renew{Log: "log", Set: 4, From: one, Number: 1, Lease: Default.Lease})
	if len(ready.Answers) != 1 || !ready.Answers[0].Out || ready.Answers[0].Granted {
		t.Errorf("%+v", ready.Answers)
	}
}

func TestAWrongLedgerIsRefusedOnlyIfMostVotersAndNodesAgree(t *testing.T) {
	right, wrong := Digest{8, ledger.Digest{1}}, Digest{8, ledger.Digest{2}}
	third := Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, 3}), Join: 7}
	for _, test := range []struct {
		name          string
		mine, voter   Digest
		others, third Digest
		refused       bool
	}{
		{"all others agree", right, right, right, right, true},
		{"no other voter does", right, wrong, right, right, false},
		{"no other voter has told", right, Digest{}, right, right, false},
		{"the other nodes do not", right, right, wrong, wrong, false},
		{"one of two other nodes does not", right, right, right, wrong, false},
		{"the others have not folded as far", right, right, Digest{4, right.Sum}, Digest{}, false},
		{"this voter has folded further", Digest{12, right.Sum}, right, right, right, false},
	} {
		v := testVoter(VoterDisk{Voter: "a", Log: "log"})
		m := memberships(9, setOfThree(4))
		m.Live = append(m.Live, third)
		folds(v, m, nil)
		v.Digested(start, test.mine)
		v.Heard(start, Word{Log: "log", Voter: "b", Digest: test.voter})
		v.Renewed(start, Renew{Log: "log", Set: 4, From: other, Number: 1, Digest: test.others})
		v.Renewed(start, Renew{Log: "log", Set: 4, From: third, Number: 1, Digest: test.third})
		renew := Renew{Log: "log", Set: 4, From: one, Number: 1, Lease: Default.Lease, Digest: wrong}
		renew.Heard = v.Renewed(start, renew).Answers[0].Serial
		renew.Number++
		answer := v.Renewed(start, renew).Answers[0]
		if answer.Granted == test.refused || (answer.Digest == test.mine) != test.refused {
			t.Errorf("%s: granted %t, told %+v", test.name, answer.Granted, answer.Digest)
		}
	}
}

func TestAVoterThatMayNotActLetsNoPromiseRunOut(t *testing.T) {
	v := testVoter(VoterDisk{Voter: "a", Log: "log", Since: 9})
	folds(v, memberships(7, VoterSet{4, []string{"a"}}), nil)
	now, number, heard := start, uint64(0), map[Incarnation]uint64{}
	for range 20 {
		now = now.Add(Default.Heartbeat)
		for _, who := range []Incarnation{one, other} {
			number++
			renew := Renew{Log: "log", Set: 4, From: who, Number: number, Heard: heard[who], Lease: Default.Lease}
			heard[who] = v.Renewed(now, renew).Answers[0].Serial
		}
	}
	ready := v.Fold(now.Add(time.Millisecond), memberships(9, VoterSet{4, []string{"a"}}), nil)
	if ready.Persist != nil && len(ready.Persist.Dead) > 0 {
		t.Errorf("when it may act it votes against %v, who renewed all the time", ready.Persist.Dead)
	}
}

func TestAVoterThatWasAloneWithASuspicionGivesTime(t *testing.T) {
	suspects := func(after time.Duration) bool { // b's word comes so long after a's promise has ended
		v := testVoter(VoterDisk{Voter: "a", Log: "log"})
		folds(v, memberships(9, setOfThree(4)), nil)
		now := start
		for now < start.Add(Default.promised()+after) {
			now = now.Add(Default.Heartbeat / 20)
			v.Renewed(now, Renew{Log: "log", From: Incarnation{Node: other.Node}}) // the node on its own host
		}
		ready := v.Heard(now, Word{Log: "log", Voter: "b", Suspects: []Incarnation{one}})
		return ready.Persist != nil
	}
	if !suspects(Default.Heartbeat) {
		t.Error("a suspicion that two voters share at one time is no vote")
	}
	if suspects(3 * Default.Heartbeat) {
		t.Error("a voter that was alone with its suspicion votes at once")
	}
}

// A voter that goes over to shorter leases has promised longer ones, on which nodes still count.
func TestPromisesOfAnEarlierMachineAreKept(t *testing.T) {
	before := NewVoter(VoterDisk{Voter: "a", Log: "log"}, Relaxed, nil, VoterStart{Now: start})
	folds(before, memberships(9, VoterSet{4, []string{"a"}}), nil)
	if !granted(before, one, 4, start, Relaxed.Lease) {
		t.Fatal("it grants nothing")
	}
	over := start.Add(10 * time.Millisecond)
	v := NewVoter(VoterDisk{Voter: "a", Log: "log", Since: 4}, Fast, func([]byte) []byte { return nil }, VoterStart{
		Now: over, Promised: Relaxed.Promised(over),
	})
	v.Fold(over, memberships(9, VoterSet{4, []string{"a"}}), nil)
	votes := func(from, until Instant) (any bool) {
		for now := from; now < until; now = now.Add(time.Millisecond) {
			heard := v.Renewed(now, Renew{Log: "log", From: Incarnation{Node: other.Node}}) // it is not away
			any = any || heard.Persist != nil || v.Wake(now).Persist != nil
		}
		return any
	}
	counts := start.Add(Relaxed.held()) // until then the node counts on its lease
	if votes(over, counts) {
		t.Error("it votes against a node that may count on its lease")
	}
	if !votes(counts, counts.Add(Relaxed.Lease)) {
		t.Error("it never votes")
	}
}
