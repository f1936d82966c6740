package heartbeat

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viplog/core/lease"
)

const testLog = "2026-11-28T03:36:24.123456789Z"

func incarnation(i int) lease.Incarnation {
	return lease.Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Join: uint64(1000 + i)}
}

// incarnation6 is as long as one can be, but for numbers that no log reaches.
func incarnation6(i int) lease.Incarnation {
	a := [16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)}
	return lease.Incarnation{Node: netip.AddrFrom16(a), Join: 1<<42 + uint64(i)}
}

func vote(voter string, who lease.Incarnation) lease.Vote {
	return lease.Vote{Voter: voter, Set: 12, Dead: who, Signature: bytes.Repeat([]byte{byte(who.Join)}, ed25519.SignatureSize)}
}

func digest() lease.Digest { return lease.Digest{Sequence: 4096, Sum: [32]byte{1, 31: 2}} }

func renewal(number uint64) lease.Renew {
	return lease.Renew{
		Log: testLog, Set: 12, From: incarnation(1), Number: number, Heard: math.MaxUint64 - 7, Folded: 5000, Applied: 4999, Awaits: 4998,
		Digest: digest(), Lease: 500 * time.Millisecond,
	}
}

func answer(votes int) lease.Answer {
	m := lease.Answer{
		Log: testLog, Voter: "voter-2", To: incarnation(1), Serial: math.MaxUint64 - 6, Number: 77, Set: 12, Granted: true, Digest: digest(),
	}
	for i := range maxProgress {
		m.Progress = append(m.Progress, lease.Progress{Who: incarnation(i), Folded: 5000, Applied: uint64(i)})
	}
	for i := range votes {
		m.Votes = append(m.Votes, vote(m.Voter, incarnation(i)))
	}
	return m
}

func word(suspects int, who func(int) lease.Incarnation) lease.Word {
	m := lease.Word{Log: testLog, Voter: "voter-2", Set: 12, Applied: 4000, Digest: digest()}
	for i := range suspects {
		m.Suspects = append(m.Suspects, who(i))
		m.Votes = append(m.Votes, vote(m.Voter, who(i)))
	}
	return m
}

func messages() []any {
	mixed := word(3, incarnation6)
	mixed.Votes[1].Voter = "voter-9"
	return []any{
		renewal(1), answer(2), word(2, incarnation), mixed,
		lease.Resign{Log: testLog, Who: incarnation(3)},
		lease.Renew{From: incarnation6(0)}, // greets
		lease.Answer{Log: "l", To: incarnation(2), Out: true},
		lease.Word{Log: ""}, // the least
	}
}

func TestMessagesAreReadAsTheyWereWritten(t *testing.T) {
	for _, m := range messages() {
		encoded, err := appendMessage(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%T: %d bytes", m, len(encoded))
		read, err := decode(encoded, &names{})
		if err != nil {
			t.Errorf("%T: %v", m, err)
		}
		if difference := cmp.Diff(m, read, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); difference != "" {
			t.Errorf("%T: %s", m, difference)
		}
		for i := range encoded {
			if _, err := decode(encoded[:i], &names{}); !errors.Is(err, ErrMalformed) {
				t.Errorf("%T cut to %d bytes: %v", m, i, err)
			}
		}
		if _, err := decode(append(encoded, 0), &names{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%T with a byte too many: %v", m, err)
		}
	}
}

func TestWhatHasAnotherEncodingIsMalformed(t *testing.T) {
	resign, err := appendMessage(nil, lease.Resign{Log: "l", Who: lease.Incarnation{Node: netip.MustParseAddr("10.0.0.1"), Join: 5}})
	if err != nil {
		t.Fatal(err)
	}
	join := len(resign) - 1
	for name, b := range map[string][]byte{
		"number with a group of zeros": append(slices.Clone(resign[:join]), 0x85, 0),
		"number of eleven bytes":       append(slices.Clone(resign[:join]), bytes.Repeat([]byte{0xff}, 11)...),
		"unknown version":              append([]byte{9}, resign[1:]...),
		"unknown kind":                 append([]byte{wireVersion, 99}, resign[2:]...),
		"address of five bytes":        {wireVersion, byte(kindResign), 1, 'l', 5, 1, 2, 3, 4, 5, 5},
		"name that is too long":        append(append([]byte{wireVersion, byte(kindResign), 65}, bytes.Repeat([]byte{'l'}, 65)...), resign[4:]...),
		"part of one":                  {wireVersion, byte(kindPart), 1, 0, 1, 1},
		"part of too many":             {wireVersion, byte(kindPart), 1, 0, maxParts + 1, 1},
		"part past the last":           {wireVersion, byte(kindPart), 1, 2, 2, 1},
		"part of nothing":              {wireVersion, byte(kindPart), 1, 0, 2},
	} {
		if m, err := decode(b, &names{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

func TestWhatCannotBeSentIsRefusedAndSaysWhy(t *testing.T) {
	short := answer(1)
	short.Votes[0].Signature = []byte{1}
	crowded := answer(0)
	crowded.Progress = append(crowded.Progress, crowded.Progress[0])
	full := answer(1)
	full.Log, full.Voter, full.Digest.Sequence = strings.Repeat("l", maxText), strings.Repeat("v", maxText), math.MaxUint64
	for i := range full.Progress {
		full.Progress[i].Who.Node = incarnation6(i).Node
		full.Progress[i].Who.Join, full.Progress[i].Folded, full.Progress[i].Applied = math.MaxUint64, math.MaxUint64, math.MaxUint64
	}
	for why, m := range map[string]any{
		"no lease message":            42,
		"is no node's address":        lease.Resign{},
		"65 bytes":                    lease.Resign{Log: strings.Repeat("l", 65), Who: incarnation(1)},
		"a signature of 1 bytes":      short,
		"25 entries of progress":      crowded,
		"257 suspects":                word(257, incarnation),
		"a lease of -1ns":             lease.Renew{From: incarnation(1), Lease: -1},
		"leaves no room for a vote":   full,
		"fe80::1%eth0 is no node's a": lease.Resign{Who: lease.Incarnation{Node: netip.MustParseAddr("fe80::1%eth0")}},
	} {
		if _, err := payloads(nil, m, 1); !errors.Is(err, ErrUnsendable) || !strings.Contains(err.Error(), why) {
			t.Errorf("got %v, want %q", err, why)
		}
	}
}

// A rack that loses power makes many votes. Every answer stands for itself, since a node may hear only some.
func TestAnAnswerWithManyVotesBecomesSeveral(t *testing.T) {
	for _, votes := range []int{0, 1, 11, 12, 40, 128, maxVotes} {
		m := answer(votes)
		for i := range m.Progress {
			m.Progress[i].Who = incarnation6(i)
		}
		all, err := payloads(nil, m, 1)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d votes: %d datagrams", votes, len(all))
		var read []lease.Vote
		for _, payload := range all {
			if len(payload) > maxPayload {
				t.Errorf("%d votes: a payload of %d bytes", votes, len(payload))
			}
			one, err := decode(payload, &names{})
			if err != nil {
				t.Fatal(err)
			}
			piece := one.(lease.Answer)
			read = append(read, piece.Votes...)
			want := m
			want.Votes = piece.Votes
			if !cmp.Equal(piece, want, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
				t.Errorf("%d votes: one of the answers says something else", votes)
			}
		}
		if fmt.Sprint(read) != fmt.Sprint(m.Votes) {
			t.Errorf("%d votes were read as %d", votes, len(read))
		}
	}
}

func TestAWordThatIsCutArrivesWholeOrNotAtAll(t *testing.T) {
	m := word(128, incarnation6)
	parts := func(number uint64) [][]byte {
		m.Votes = slices.Clone(m.Votes)
		for i := range m.Votes {
			m.Votes[i].Set = number
		}
		all, err := payloads(nil, m, number)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	t.Logf("128 suspects that are voted dead: %d datagrams", len(parts(1)))
	var a assembly
	add := func(payload []byte) (whole []byte, lost bool) {
		p, err := decode(payload, &names{})
		if err != nil || len(payload) > maxPayload {
			t.Fatalf("%d bytes: %v", len(payload), err)
		}
		return a.add(p.(part))
	}
	for i, payload := range parts(1)[1:] {
		if whole, lost := add(payload); whole != nil || lost {
			t.Errorf("part %d of a word without its first one: whole %t, lost %t", i, whole != nil, lost)
		}
	}
	wholes, losses := 0, 0
	old := parts(1)
	late, again := old[len(old)-1], parts(2)
	for _, payload := range slices.Concat(again[:1], again, again) { // repeated parts complete no word, and make no second one
		whole, lost := add(payload)
		if lost {
			losses++
		}
		if whole != nil {
			wholes++
			read, err := decode(whole, &names{})
			if fmt.Sprint(read) != fmt.Sprint(m) {
				t.Errorf("the word was read as something else: %v", err)
			}
		}
		if whole, _ := add(late); whole != nil {
			t.Error("a late part completed a word")
		}
	}
	if wholes != 1 || losses != 1 {
		t.Errorf("%d words were whole and %d lost, want 1 and 1", wholes, losses)
	}
}

// The longest word that core/lease can say with 128 nodes of two incarnations each.
func TestTheLongestWordCanBeSent(t *testing.T) {
	m := word(maxSuspects, func(i int) lease.Incarnation {
		return lease.Incarnation{Node: incarnation6(i).Node, Join: math.MaxUint64}
	})
	for i := range m.Votes {
		m.Votes[i].Set = math.MaxUint64
	}
	all, err := payloads(nil, m, math.MaxUint64)
	if err != nil || len(all) > maxParts {
		t.Errorf("%d parts, %v", len(all), err)
	}
}

// FuzzDecode: what decodes encodes to the same bytes, and nothing panics.
func FuzzDecode(f *testing.F) {
	for _, m := range messages() {
		encoded, err := appendMessage(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Add(appendPart(nil, part{7, 1, 2, []byte("piece")}))
	f.Add(binary.AppendUvarint([]byte{wireVersion, byte(kindWord), 0, 0, 0, 0, 0}, 1<<40)) // a list that promises too much
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b, &names{})
		if err != nil {
			return
		}
		var again []byte
		if p, isPart := m.(part); isPart {
			again = appendPart(nil, p)
		} else if again, err = appendMessage(nil, m); err != nil {
			t.Fatalf("%v was read and cannot be written: %v", m, err)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x was read as %v, which is %x", b, m, again)
		}
	})
}
