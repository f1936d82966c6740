package segment

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"viplog/sim/kernel"
)

// bench is a segment with a fixed delay and some bare ports that note what they get.
type bench struct {
	*testing.T
	k     *kernel.Kernel
	s     *Segment
	ports []*Port
	got   []string
}

func newBench(t *testing.T, o Options, ports int) *bench {
	b := &bench{T: t, k: kernel.New(kernel.NewSeeded(1))}
	b.s = New(b.k, o)
	for i := range ports {
		name := string(rune('a' + i))
		p := &Port{Name: name, MAC: MAC(0x020000000000 + i)}
		p.Receive = func(f Frame) { b.got = append(b.got, fmt.Sprintf("%d>%s", f.Number, name)) }
		b.ports = append(b.ports, b.s.Attach(p))
	}
	return b
}

// send sends a packet from one port to a MAC.
func (b *bench) send(from int, to MAC, number int) bool {
	return b.ports[from].Send(Frame{Kind: Packet, Source: b.ports[from].MAC, Destination: to, Number: number})
}

// gets runs the bench for a second and says who got what.
func (b *bench) gets(want ...string) {
	b.Helper()
	b.k.RunUntil(b.k.Now() + time.Second)
	if !slices.Equal(b.got, want) {
		b.Fatalf("got %v, not %v", b.got, want)
	}
	b.got = nil
}

func TestABroadcastIsOneEventInTheOrderOfThePorts(t *testing.T) {
	b := newBench(t, Options{}, 5)
	b.send(2, Broadcast, 1)
	if b.k.Waiting() != 1 {
		t.Fatalf("%d events", b.k.Waiting())
	}
	b.gets("1>a", "1>b", "1>d", "1>e")
	b.send(0, AllNodes, 2)
	b.gets("2>b", "2>c", "2>d", "2>e")
}

func TestUnknownUnicastIsFloodedUntilTheMACIsLearned(t *testing.T) {
	b := newBench(t, Options{}, 3)
	b.ports[2].Promiscuous = true // it sees what is flooded
	b.send(0, b.ports[1].MAC, 1)
	b.gets("1>b", "1>c")
	b.send(1, b.ports[0].MAC, 2)
	b.gets("2>a")
	b.send(0, b.ports[1].MAC, 3)
	b.gets("3>b")
	if b.s.Flooded() != 1 {
		t.Fatalf("%d flooded", b.s.Flooded())
	}
}

// A VIP whose owner sends nothing for 300 s costs every port its packets (metallb#2910).
func TestAMACAgesAfter300SecondsWithoutAFrame(t *testing.T) {
	b := newBench(t, Options{}, 3)
	b.ports[2].Promiscuous = true
	b.send(1, Broadcast, 1)
	b.gets("1>a", "1>c")
	b.k.RunUntil(299 * time.Second)
	b.send(0, b.ports[1].MAC, 2)
	b.gets("2>b")
	b.k.RunUntil(301 * time.Second)
	b.send(0, b.ports[1].MAC, 3)
	b.gets("3>b", "3>c")
}

func TestAMACThatMovedSilentlyIsLostUntilItSends(t *testing.T) {
	b := newBench(t, Options{}, 3)
	b.send(1, Broadcast, 1)
	b.gets("1>a", "1>c")
	b.ports[1].MAC, b.ports[2].MAC = b.ports[2].MAC, b.ports[1].MAC
	b.send(0, b.ports[2].MAC, 2)
	b.gets()
	b.send(2, b.ports[0].MAC, 3)
	b.gets("3>a")
	b.send(0, b.ports[2].MAC, 4)
	b.gets("4>c")
}

func TestALostCarrierIsToldAndFlushesWhatWasLearnedThere(t *testing.T) {
	b := newBench(t, Options{}, 3)
	var told []bool
	b.ports[1].Carrier = func(up bool) { told = append(told, up) }
	b.send(1, Broadcast, 1)
	b.gets("1>a", "1>c")
	b.send(0, b.ports[1].MAC, 2) // on its way to the port, and one from it
	b.send(1, Broadcast, 2)
	b.ports[1].SetCarrier(false)
	b.ports[1].SetCarrier(false)
	b.gets()
	if b.send(1, Broadcast, 3) {
		t.Fatal("sent without carrier")
	}
	b.send(0, Broadcast, 4)
	b.gets("4>c")
	b.ports[1].SetCarrier(true)
	flooded := b.s.Flooded()
	b.send(0, b.ports[1].MAC, 5)
	b.gets("5>b")
	if b.s.Flooded() != flooded+1 || !slices.Equal(told, []bool{false, true}) {
		t.Fatalf("%d flooded, told %v", b.s.Flooded()-flooded, told)
	}
}

func TestAPortOfTheSpanningTreeForwards30SecondsAfterItsCarrierCame(t *testing.T) {
	b := newBench(t, Options{ForwardDelay: 30 * time.Second}, 2)
	b.ports[1].SetCarrier(false)
	b.ports[1].SetCarrier(true)
	b.send(1, Broadcast, 1)
	b.send(0, Broadcast, 2)
	b.gets()
	b.k.RunUntil(30 * time.Second)
	b.send(1, Broadcast, 3)
	b.send(0, Broadcast, 4)
	b.k.RunUntil(b.k.Now() + time.Second)
	slices.Sort(b.got)
	b.gets("3>a", "4>b")
}

func TestCutsWithoutCarrier(t *testing.T) {
	for _, c := range []struct {
		cut  func(b *bench)
		want []string
	}{
		{func(b *bench) { b.ports[1].Cut(Sent) }, []string{"1>b", "1>c"}},
		{func(b *bench) { b.ports[1].Cut(Received) }, []string{"1>c", "2>a", "2>c"}},
		{func(b *bench) { b.ports[1].Cut(Both) }, []string{"1>c"}},
		{func(b *bench) { b.s.CutOneWay(b.ports[0], b.ports[1]) }, []string{"1>c", "2>a", "2>c"}},
		{func(b *bench) { b.s.CutOneWay(b.ports[1], b.ports[0]) }, []string{"1>b", "1>c", "2>c"}},
		{func(b *bench) { b.ports[1].Cut(Both); b.ports[1].Cut(0) }, []string{"1>b", "1>c", "2>a", "2>c"}},
		{
			func(b *bench) { b.s.CutOneWay(b.ports[1], b.ports[0]); b.s.MendOneWay(b.ports[1], b.ports[0]) },
			[]string{"1>b", "1>c", "2>a", "2>c"},
		},
		{func(b *bench) { b.s.LoseNext(b.ports[0], 1) }, []string{"2>a", "2>c"}},
		{func(b *bench) { b.s.MissNext(b.ports[2], 1) }, []string{"1>b", "2>a", "2>c"}},
		{func(b *bench) { b.s.Drop = func(_ *Port, f Frame) bool { return f.Number == 1 } }, []string{"2>a", "2>c"}},
	} {
		b := newBench(t, Options{}, 3)
		c.cut(b)
		if b.send(0, Broadcast, 1); !b.ports[1].Up() {
			t.Fatal("a cut took the carrier")
		}
		b.k.RunUntil(time.Second)
		b.send(1, Broadcast, 2)
		b.gets(c.want...)
	}
}

func TestOneInSoManyFramesIsLost(t *testing.T) {
	b := newBench(t, Options{}, 3)
	b.s.LoseOneIn(4)
	b.ports[2].LoseOneIn(2)
	for range 4000 {
		b.send(0, Broadcast, 1)
	}
	b.k.RunUntil(time.Second)
	at := map[string]int{}
	for _, got := range b.got {
		at[got]++
	}
	if n := at["1>b"]; n < 2900 || n > 3100 {
		t.Fatalf("b got %d of 4000", n)
	}
	if n := at["1>c"]; n < 1400 || n > 1600 {
		t.Fatalf("c got %d of 4000", n)
	}
}

func TestFramesOfOneSenderDoNotOvertakeEachOther(t *testing.T) {
	b := newBench(t, Options{}, 2)
	var want []string
	for i := range 1000 {
		b.send(0, Broadcast, i)
		b.k.RunUntil(b.k.Now() + time.Microsecond)
		want = append(want, fmt.Sprintf("%d>b", i))
	}
	b.gets(want...)
}

func TestAWatcherSeesEachFrameWhenItIsSent(t *testing.T) {
	b := newBench(t, Options{}, 2)
	var seen []string
	b.s.Watch(func(at time.Duration, from *Port, f Frame) { seen = append(seen, fmt.Sprint(at, from.Name, f.Number)) })
	b.k.RunUntil(time.Second)
	b.send(0, Broadcast, 1)
	b.s.LoseNext(b.ports[1], 1)
	b.send(1, Broadcast, 2)
	b.ports[1].SetCarrier(false)
	b.send(1, Broadcast, 3)
	b.gets()
	if want := []string{"1sa1", "1sb2"}; !slices.Equal(seen, want) {
		t.Fatalf("seen %v, not %v", seen, want)
	}
}

func TestPartsDoNotHearEachOtherAndKeepWhatTheyLearned(t *testing.T) {
	b := newBench(t, Options{}, 4)
	for i := range b.ports {
		b.send(i, Broadcast, 0)
	}
	b.k.RunUntil(time.Second)
	b.got = nil
	b.s.Split(b.ports[:2])
	b.send(0, Broadcast, 1)
	b.gets("1>b")
	b.send(3, Broadcast, 2)
	b.gets("2>c")
	b.send(0, b.ports[1].MAC, 3)
	b.gets("3>b")
	if b.s.Flooded() != 0 {
		t.Fatal("a part forgot its own ports")
	}
	b.send(0, b.ports[3].MAC, 4)
	b.gets()
	if b.s.Flooded() != 1 {
		t.Fatal("a part knows what lies behind the trunk")
	}
	b.s.Split(b.ports[1:3], b.ports[3:])
	b.send(1, Broadcast, 5)
	b.gets("5>c")
	b.s.Heal()
	b.send(0, Broadcast, 6)
	b.gets("6>b", "6>c", "6>d")
	b.send(0, b.ports[3].MAC, 7)
	b.gets("7>d")
	if b.s.Flooded() != 1 {
		t.Fatal("the healed segment forgot a port")
	}
}

func TestAPartLearnsAnewWhatItForgotAfterTheSplit(t *testing.T) {
	b := newBench(t, Options{}, 3)
	b.send(0, Broadcast, 1)
	b.gets("1>b", "1>c")
	b.s.Split(b.ports[:2])
	b.ports[0].SetCarrier(false)
	b.ports[0].SetCarrier(true)
	b.send(0, Broadcast, 2)
	b.gets("2>b")
	b.send(1, b.ports[0].MAC, 3)
	b.gets("3>a")
	if b.s.Flooded() != 0 {
		t.Fatal("the part did not learn")
	}
}

// Two nodes of a split with one virtual MAC, as with VRRP.
func TestAMACOfTwoPartsIsWhereItWasSeenLastWhenTheyJoin(t *testing.T) {
	for _, last := range []int{1, 2} {
		b := newBench(t, Options{}, 3)
		b.ports[1].MAC = b.ports[2].MAC
		b.s.Split(b.ports[:2], b.ports[2:])
		b.send(3-last, Broadcast, 1)
		b.k.RunUntil(time.Second)
		b.send(last, Broadcast, 2)
		b.k.RunUntil(2 * time.Second)
		b.s.Heal()
		b.got = nil
		b.send(0, b.ports[2].MAC, 3)
		b.gets("3>" + b.ports[last].Name)
	}
}
