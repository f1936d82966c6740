package segment

import (
	"net/netip"
	"time"
)

// Outcome is what became of a request.
type Outcome struct {
	Address  netip.Addr
	Number   int // of the client's requests, from 1
	Sent     time.Duration
	At       time.Duration // of the answer, or of giving up
	To       MAC           // where it was sent; 0 if no MAC was found in time
	By       MAC           // who answered
	Answered bool
}

// requests is a client's requests that have no outcome yet. All wait for the same time, so the oldest is lost first, and
// one timer does.
type requests struct {
	client *Client
	first  int // number of open[head]
	head   int
	open   []request
	timing bool
}

type request struct {
	addr netip.Addr
	sent time.Duration
	to   MAC
	done bool
}

// Request sends one request to an address, and gives its number.
func (c *Client) Request(addr netip.Addr) int { return c.request(c.makeEntry(addr)) }

func (c *Client) request(n *neighbour) int {
	r := &c.requests
	if len(r.open) == r.head {
		r.open, r.head = r.open[:0], 0
	}
	number := r.first + len(r.open) - r.head
	r.open = append(r.open, request{addr: n.addr, sent: c.now()})
	r.await()
	n.transmit(number)
	return number
}

// transmit sends a request whose MAC is known.
func (c *Client) transmit(n *neighbour, number int) {
	if i := number - c.requests.first; i >= 0 {
		c.requests.open[c.requests.head+i].to = n.mac
	}
	c.port.Send(Frame{
		Kind: Packet, Destination: n.mac, Source: c.port.MAC,
		Sender: c.own(n.addr), SenderMAC: c.port.MAC, Target: n.addr, Number: number,
	})
}

func (r *requests) answered(f *Frame) {
	i := f.Number - r.first
	if i < 0 || i >= len(r.open)-r.head {
		return
	}
	open := &r.open[r.head+i]
	if open.done || open.addr != f.Sender {
		return
	}
	open.done = true
	outcome := Outcome{
		Address: open.addr, Number: f.Number, Sent: open.sent, At: r.client.now(), To: open.to, By: f.Source, Answered: true,
	}
	r.settle()
	r.client.report(outcome)
}

// settle drops what is done from the front.
func (r *requests) settle() {
	for r.head < len(r.open) && r.open[r.head].done {
		r.head++
		r.first++
	}
	if r.head > 1024 && 2*r.head > len(r.open) {
		r.open = r.open[:copy(r.open, r.open[r.head:])]
		r.head = 0
	}
}

func (r *requests) await() {
	if !r.timing && r.head < len(r.open) {
		r.timing = true
		r.client.kernel.At(r.open[r.head].sent+r.client.options.AnswerTimeout, r)
	}
}

// Happen implements kernel.Event: the oldest request may be lost now.
func (r *requests) Happen() {
	r.timing = false
	now := r.client.now()
	for r.head < len(r.open) {
		oldest := &r.open[r.head]
		if oldest.sent+r.client.options.AnswerTimeout > now {
			break
		}
		oldest.done = true
		outcome := Outcome{Address: oldest.addr, Number: r.first, Sent: oldest.sent, At: now, To: oldest.to}
		r.settle()
		r.client.report(outcome)
	}
	r.await()
}

func (c *Client) report(o Outcome) {
	if c.Report != nil {
		c.Report(o)
	}
}

// Polling sends requests to an address at a fixed spacing.
type Polling struct {
	neighbour *neighbour
	every     time.Duration
	stopped   bool
}

// Poll sends the first request in the next event, and then one every so often.
func (c *Client) Poll(addr netip.Addr, every time.Duration) *Polling {
	if every <= 0 {
		panic("segment: polling without a spacing")
	}
	p := &Polling{neighbour: c.makeEntry(addr), every: every}
	c.kernel.At(c.now(), p)
	return p
}

// Stop ends the polling.
func (p *Polling) Stop() { p.stopped = true }

// Happen implements kernel.Event.
func (p *Polling) Happen() {
	if p.stopped {
		return
	}
	p.neighbour.collect()
	c := p.neighbour.client
	c.request(p.neighbour)
	c.kernel.At(c.now()+p.every, p)
}
