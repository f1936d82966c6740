package heartbeat

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"viplog/core/lease"
)

// heldBack is a datagram from one host to another, who have a session, that never left.
func heldBack(t *testing.T, from, to *host, number uint64) []byte {
	t.Helper()
	from.hold(everything)
	defer from.hold(nil)
	from.send(t, to, from.says(number))
	return from.last(typeData)
}

// A datagram that was changed on its way changes nothing: not even its counter is taken.
func TestChangedDatagramsAreCountedAndDropped(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	data := heldBack(t, a, b, 2)
	a.hold(everything)
	a.peers.Load().byKey[[32]byte(b.key)].greet(a.Conn, hello{offer: newOffer(), process: a.process})
	greeting := a.last(typeHello)
	a.hold(nil)
	if len(greeting) != helloSize {
		t.Fatalf("a hello of %d bytes", len(greeting))
	}
	sessions := b.Counts().Sessions
	for _, whole := range [][]byte{data, greeting} {
		for i := range whole {
			flipped := bytes.Clone(whole)
			flipped[i] ^= 1 << rand.IntN(8)
			inject(t, b, flipped, whole[:i])
		}
		inject(t, b, append(bytes.Clone(whole), 0), append(bytes.Clone(whole), make([]byte, 2000)...))
	}
	c := b.Counts()
	t.Logf("%+v", c)
	if c.Received != 1 || c.Sessions != sessions || c.Stale > 2 {
		t.Errorf("something was heard: %+v", c)
	}
	if c.Truncated == 0 || c.Forged == 0 || c.Oversized != 2 || c.Malformed == 0 || c.UnknownSender == 0 || c.NoSession == 0 {
		t.Errorf("a reason was not counted: %+v", c)
	}
	inject(t, b, data)
	b.hears(t, a, 2)
	talk(t, a, b, 3)
}

func TestReplayedDatagramsAreHeardOnce(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	var all [][]byte
	for number := range uint64(8) {
		all = append(all, heldBack(t, a, b, 10+number))
	}
	slices.Reverse(all)
	inject(t, b, all...)
	inject(t, b, all...)
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	inject(t, b, all...)
	for number := range uint64(8) {
		b.hears(t, a, 10+number)
	}
	if c := b.Counts(); c.Replayed != 16 {
		t.Errorf("%d were counted as replayed, want 16", c.Replayed)
	}
	talk(t, a, b, 2)
}

// A datagram that was sent to a process, or by one, is worth nothing to the next.
func TestRecordedDatagramsAreWorthNothingAfterARestart(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	recorded := append(a.record(), heldBack(t, a, b, 2), heldBack(t, a, b, 3))
	time.Sleep(keepFor + time.Millisecond) // else a itself says it again to the next process

	b = restart(t, b, 2)
	introduce(t, a, b)
	inject(t, b, recorded...) // b has heard nothing yet
	talk(t, a, b, 4)
	inject(t, b, recorded...)

	recorded = append(a.record(), heldBack(t, a, b, 5))
	process := a.process
	a = restart(t, a, 1)
	introduce(t, a, b)
	talk(t, a, b, 6)
	inject(t, b, recorded...)
	talk(t, a, b, 7)
	for number, want := range []int{0, 0, 0, 0, 1, 0, 1, 1} {
		if n := b.times(a, uint64(number)); n != want {
			t.Errorf("renewal %d was heard %d times, want %d", number, n, want)
		}
	}
	if a.process == process || !b.isOnlyWith(a) {
		t.Error("a session with the process before is open")
	}
}

// Recorded hellos, of this process and of those before, take no session over: both hear each other at every moment.
func TestRecordedHellosTakeNoSessionOver(t *testing.T) {
	a, b := startPair(t)
	hellos := func(h *host) [][]byte {
		return slices.DeleteFunc(h.record(), func(d []byte) bool { return !isHello(d) })
	}
	var ofA, ofB [][]byte
	for number := range uint64(4) {
		talk(t, a, b, 10*number)
		ofA, ofB = append(ofA, hellos(a)...), append(ofB, hellos(b)...)
		a = restart(t, a, 1)
		introduce(t, a, b)
	}
	talk(t, a, b, 100)
	stranger, err := startStranger(t)
	if err != nil {
		t.Fatal(err)
	}
	for number := range uint64(20) {
		for _, d := range ofA {
			stranger(b, d)
		}
		for _, d := range ofB {
			stranger(a, d)
		}
		talk(t, a, b, 200+number)
	}
	if !b.isOnlyWith(a) || !a.isOnlyWith(b) {
		t.Error("a session with another process is open")
	}
}

// What was recorded and never arrived is worth nothing either, once its sender's next process was heard.
func TestAHelloThatWasHeldBackIsWorthNothingAfterTheNextProcess(t *testing.T) {
	a, b := startPair(t)
	a.hold(everything)
	b.send(t, a, b.says(1)) // b's offer is heard, and a's answer that echoes it held back
	eventually(t, "a answers", func() bool { return a.last(typeHello) != nil })
	answer := a.last(typeHello)
	a = restart(t, a, 1)
	introduce(t, a, b)
	talk(t, a, b, 2)
	inject(t, b, answer)
	if !b.isOnlyWith(a) {
		t.Error("the proof of a process that has ended was taken")
	}
	talk(t, a, b, 3)
}

// An offer that is too old proves nothing, whoever echoes it.
func TestAnOldOfferIsNotTaken(t *testing.T) {
	a, b := startPair(t)
	p := b.peers.Load().byKey[[32]byte(a.key)]
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	open := p.openOffer(now)
	proof := hello{offer: newOffer(), echo: open, process: newOffer()}
	p.heardHello(b.Conn, proof, now.Add(offerLife+1))
	if len(p.sessions) != 0 {
		t.Error("it was taken")
	}
	proof.echo = p.offer
	if p.offer == open {
		t.Error("it was not made anew")
	}
	p.heardHello(b.Conn, proof, now.Add(offerLife+2))
	if len(p.sessions) != 1 {
		t.Error("a fresh one was not taken")
	}
}

// Who has a node's key speaks as that node, and as nobody else.
func TestAPeerSpeaksForItselfOnly(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	for _, m := range []any{
		b.says(2),
		lease.Resign{Who: lease.Incarnation{Node: b.peer.Node, Join: 1}},
		lease.Answer{Voter: "voter-2", To: incarnation(2), Granted: true},
		lease.Word{Voter: "voter-2"},
		lease.Word{},
	} {
		before := b.Counts()
		a.send(t, b, m)
		eventually(t, "it is refused", func() bool { return b.Counts().Impostor == before.Impostor+1 })
	}
	if n := len(b.heard.messages()); n != 1 {
		t.Errorf("%d messages were heard, want the first only", n)
	}
}

func TestOtherKeysAndClustersAreNotHeard(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	var (
		inOther = startHost(t, 1, anyPort, func(c *Conn) { c.cluster = "other" }) // the same key
		thief   = startHost(t, 3, anyPort)                                        // knows a's public key only
	)
	for name, h := range map[string]*host{"other cluster": inOther, "other key": thief} {
		introduceOne(t, h, b)
		before := b.Counts()
		h.send(t, b, a.says(2))
		eventually(t, name+" is refused", func() bool { return b.Counts().UnknownSender > before.UnknownSender })
	}
	// The thief puts a's name on what it has sealed itself.
	real := heldBack(t, a, b, 3)
	forgery := bytes.Clone(real[:dataHead])
	key, _ := thief.peers.Load().byKey[[32]byte(b.key)].pair.dataKey(direction{a.key, b.key}, newOffer(), newOffer())
	payload, err := appendMessage(nil, a.says(3))
	if err != nil {
		t.Fatal(err)
	}
	s := session{}
	forgery = key.Seal(forgery, s.count(3), payload, forgery)
	before := b.Counts()
	inject(t, b, forgery)
	thief.hold(everything)
	p := thief.peers.Load().byKey[[32]byte(b.key)]
	p.greet(thief.Conn, hello{offer: newOffer(), process: newOffer()})
	greeting := thief.last(typeHello)
	copy(greeting[2:], real[2:2+senderSize])
	inject(t, b, greeting)
	if c := b.Counts(); c.Forged != before.Forged+2 || c.Sessions != before.Sessions {
		t.Errorf("two forgeries were counted so: %+v, before: %+v", c, before)
	}
	inject(t, b, real)
	b.hears(t, a, 3)
}

func introduceOne(t *testing.T, h, to *host) {
	t.Helper()
	if err := h.SetPeers([]Peer{to.peer}); err != nil {
		t.Fatal(err)
	}
}

// Hellos that prove nothing are answered at a limited rate, and never to where they came from.
func TestAFloodOfHellosIsAnsweredSeldom(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	all := a.record()
	recorded := all[slices.IndexFunc(all, isHello)]
	b.hold(everything) // else the real a would go on talking
	before, start := b.Counts().Greeted, time.Now()
	for range 300 {
		inject(t, b, recorded)
	}
	most := uint64(answerBurst + time.Since(start)/answerEvery + 1)
	if n := b.Counts().Greeted - before; n > most {
		t.Errorf("300 hellos were answered %d times in %s, want at most %d", n, time.Since(start), most)
	}
	b.hold(nil)
	talk(t, a, b, 2)
}

// What a peer itself has sealed and is no message is counted, too.
func TestAPeersNonsenseIsMalformed(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	p := a.peers.Load().byKey[[32]byte(b.key)]
	nested := appendPart(nil, part{1, 0, 2, []byte{1}})
	for _, all := range [][][]byte{
		{{}},
		{{wireVersion}},
		{[]byte("nonsense")},
		{appendPart(nil, part{8, 0, 2, nested}), appendPart(nil, part{8, 1, 2, nested})},
	} {
		before := b.Counts()
		p.mu.Lock()
		err := p.transmit(a.Conn, all)
		p.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is refused", func() bool { return b.Counts().Malformed == before.Malformed+1 })
	}
	talk(t, a, b, 2)
}
