package segment

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"viplog/sim/kernel"
)

func benchPorts(s *Segment, n int, got *int) []*Port {
	ports := make([]*Port, n)
	for i := range ports {
		ports[i] = s.Attach(&Port{Name: fmt.Sprint(i), MAC: MAC(i + 1), Receive: func(f Frame) {
			if f.Kind != 0 {
				*got++
			}
		}})
	}
	return ports
}

// A broadcast to 49 other ports.
func BenchmarkBroadcast(b *testing.B) {
	k := kernel.New(kernel.NewSeeded(1))
	got := 0
	ports := benchPorts(New(k, Options{}), 50, &got)
	b.ReportAllocs()
	for i := range b.N {
		p := ports[i%len(ports)]
		p.Send(GratuitousRequest(vip, p.MAC))
		k.Step()
	}
	if got != 49*b.N {
		b.Fatal(got)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}

// The same to 50 clients with an entry each for the address.
func BenchmarkBroadcastToClients(b *testing.B) {
	k := kernel.New(kernel.NewSeeded(1))
	s := New(k, Options{})
	owner := newNode(s, "owner", oldMAC, vip)
	for i := range 50 {
		addr := netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})
		NewClient(s, fmt.Sprint(i), MAC(i+1), addr, netip.Addr{}, Linux()).Request(vip)
	}
	k.RunUntil(time.Minute)
	b.ReportAllocs()
	for range b.N {
		owner.port.Send(GratuitousRequest(vip, oldMAC))
		k.Step()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}

func BenchmarkUnicast(b *testing.B) {
	k := kernel.New(kernel.NewSeeded(1))
	got := 0
	ports := benchPorts(New(k, Options{}), 50, &got)
	for _, p := range ports {
		p.Send(GratuitousRequest(vip, p.MAC))
	}
	k.RunUntil(time.Second)
	got = 0
	b.ReportAllocs()
	for i := range b.N {
		from, to := ports[i%50], ports[(i+7)%50]
		from.Send(Frame{Kind: Packet, Source: from.MAC, Destination: to.MAC})
		k.Step()
	}
	if got != b.N {
		b.Fatal(got)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}

// A client that polls at 10 ms, request and answer.
func BenchmarkPoll(b *testing.B) {
	k := kernel.New(kernel.NewSeeded(1))
	s := New(k, Options{})
	owner := &Port{Name: "owner", MAC: oldMAC}
	owner.Receive = func(f Frame) {
		if f.Target == vip {
			answer, _ := AnswerFor(f, oldMAC)
			owner.Send(answer)
		}
	}
	s.Attach(owner)
	c := NewClient(s, "client", clientMAC, clientV4, clientV6, Linux())
	answered := 0
	c.Report = func(o Outcome) {
		if o.Answered {
			answered++
		}
	}
	c.Poll(vip, every)
	b.ReportAllocs()
	k.RunUntil(time.Duration(b.N)*every - 1)
	k.RunUntil(k.Now() + every/2)
	if answered < b.N {
		b.Fatal(answered, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
