package stream

import (
	"fmt"
	"testing"
	"time"

	"viplog/core/log"
	"viplog/core/log/logtest"
	"viplog/sim/kernel"
)

// crowd is a log, an appender, and clients that follow.
func crowd(followers int) (*kernel.Kernel, *Stream, *Client, *int) {
	k := kernel.New(kernel.NewSeeded(1))
	s := New(k)
	folded := new(int)
	for n := range followers {
		s.Connect(fmt.Sprintf("node-%d", n)).Follow(0, func(log.Entry) { *folded++ }, func(err error) { panic(err) })
	}
	k.RunUntil(time.Second)
	return k, s, s.Connect("appender"), folded
}

func TestAtRestNothingHappens(t *testing.T) {
	k, _, _, _ := crowd(50)
	before := k.Happened()
	k.RunUntil(time.Hour)
	if k.Happened() != before || k.Waiting() > 0 {
		t.Fatalf("%d events in an hour, %d waiting", k.Happened()-before, k.Waiting())
	}
}

func TestAnAppendCostsEachFollowerOneEvent(t *testing.T) {
	k, s, appender, folded := crowd(50)
	before := k.Happened()
	appender.Append(logtest.NewFact("node.a", 1), 0, time.Second, func(uint64, error) {})
	k.RunUntil(2 * time.Second)
	if events := k.Happened() - before; events != 2+50 || *folded != 50 {
		t.Fatalf("an append: %d events, %d folded", events, *folded)
	}
	var facts []log.Fact
	for n := range log.MaxBatch {
		facts = append(facts, logtest.NewFact("node.b", n))
	}
	before = k.Happened()
	appender.AppendBatch(facts, 1, time.Second, func(uint64, error) {})
	k.RunUntil(3 * time.Second)
	if events := k.Happened() - before; events != 2+50 || *folded != 50*(1+log.MaxBatch) || k.Waiting() > 0 {
		t.Fatalf("a batch: %d events, %d folded, head %+v", events, *folded, s.Head())
	}
}

// One append, until all have it. ns/event is what one event of the kernel costs here.
func BenchmarkAppend(b *testing.B) {
	for _, followers := range []int{1, 50} {
		b.Run(fmt.Sprintf("%d followers", followers), func(b *testing.B) {
			k, _, appender, _ := crowd(followers)
			before := k.Happened()
			last := uint64(0)
			for n := 0; b.Loop(); n++ {
				appender.Append(logtest.NewFact("node.a", n), last, time.Second, func(sequence uint64, _ error) { last = sequence })
				k.RunUntil(k.Now() + 5*time.Millisecond)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(k.Happened()-before), "ns/event")
		})
	}
}
