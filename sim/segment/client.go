package segment

import (
	"net/netip"
	"time"

	"viplog/sim/kernel"
)

// ClientOptions is how a client's neighbour cache behaves.
type ClientOptions struct {
	BaseReachable     time.Duration // an entry is Reachable for half to three halves of it (RFC 4861 section 6.3.2)
	DelayFirstProbe   time.Duration
	Retrans           time.Duration
	UnicastProbes     int // ucast_solicit
	BroadcastProbes   int // mcast_solicit
	BroadcastReprobes int // mcast_resolicit: broadcasts after the unicast probes of a known MAC
	GCStale           time.Duration
	GCThreshold       int           // entries; a cache with fewer is not collected (gc_thresh1)
	LockTime          time.Duration // for so long after a change ARP that is not gratuitous changes no valid entry
	ARPAccept         bool          // a gratuitous frame makes an entry (arp_accept 1)
	UntrackedNA       bool          // an unsolicited advertisement makes an entry (RFC 9131; accept_untracked_na)
	IgnoreGratuitous  bool          // as some gateways and firewalls do
	Confirms          bool          // answers confirm the MAC that was asked, as TCP's do (RFC 4861 section 7.3.1)
	ARPTimeout        time.Duration // an IPv4 entry lives so long after the last ARP of its address, unprobed; 0 is not so
	AnswerTimeout     time.Duration // a request without an answer after this is lost
}

// Linux is a host with the kernel's defaults. mcast_resolicit is 0: after three unanswered unicast probes the entry is
// Failed, and the next packet broadcasts. A cache of fewer than 128 entries is not collected, however stale (both measured
// on 6.18).
func Linux() ClientOptions {
	return ClientOptions{
		BaseReachable: 30 * time.Second, DelayFirstProbe: 5 * time.Second, Retrans: time.Second,
		UnicastProbes: 3, BroadcastProbes: 3, GCStale: 60 * time.Second, GCThreshold: 128, LockTime: time.Second,
		AnswerTimeout: 2 * time.Second,
	}
}

// Router is a gateway whose ARP entries time out after 1200 s and are not probed. Its IPv6 is that of Linux, with RFC 9131.
func Router() ClientOptions {
	o := Linux()
	o.ARPTimeout, o.UntrackedNA = 1200*time.Second, true
	return o
}

// Client is a host on the segment that sends requests to VIPs. While it sends none it costs nothing: at rest its
// entries have at most one timer each.
type Client struct {
	// Report is told the outcome of every request; may be nil.
	Report func(Outcome)

	kernel     *kernel.Kernel
	port       *Port
	options    ClientOptions
	v4, v6     netip.Addr
	neighbours map[netip.Addr]*neighbour
	order      []*neighbour // in which they were made
	entries    int          // that are not Absent

	reachableTime time.Duration
	drawn         bool
	redraw        time.Duration
	requests      requests
}

// NewClient attaches a client. An address that is the zero Addr it does not have.
func NewClient(s *Segment, name string, mac MAC, v4, v6 netip.Addr, o ClientOptions) *Client {
	c := &Client{kernel: s.Kernel, options: o, v4: v4, v6: v6, neighbours: map[netip.Addr]*neighbour{}}
	c.port = s.Attach(&Port{Name: name, MAC: mac, Receive: c.receive, Carrier: c.carrier})
	c.requests.client, c.requests.first = c, 1
	return c
}

// Port is the client's port.
func (c *Client) Port() *Port { return c.port }

// Neighbour is what the cache has of an address; the MAC counts in the states that have one, Reachable to Probing.
func (c *Client) Neighbour(addr netip.Addr) (State, MAC) {
	if n := c.entry(addr); n != nil && n.state != Absent {
		return n.state, n.mac
	}
	return Absent, 0
}

// Flush empties the cache, as `ip neigh flush` does; the packets that wait for a MAC are lost.
func (c *Client) Flush() {
	for _, n := range c.order {
		if n.state != Absent {
			n.waiting, n.mac = nil, 0
			n.enter(Absent)
		}
	}
}

// carrier flushes when it is lost (neigh_carrier_down).
func (c *Client) carrier(up bool) {
	if !up {
		c.Flush()
	}
}

func (c *Client) now() time.Duration { return c.kernel.Now() }

func (c *Client) own(other netip.Addr) netip.Addr {
	if other.Is4() {
		return c.v4
	}
	return c.v6
}

// entry gives the entry of an address, which may be Absent; nil when there never was one.
func (c *Client) entry(addr netip.Addr) *neighbour {
	n := c.neighbours[addr]
	if n != nil {
		n.collect()
	}
	return n
}

func (c *Client) makeEntry(addr netip.Addr) *neighbour {
	n := c.entry(addr)
	if n == nil {
		n = &neighbour{client: c, addr: addr}
		c.neighbours[addr] = n
		c.order = append(c.order, n)
	}
	return n
}

// reachable is how long an entry stays Reachable. Linux draws it anew every 300 s for all entries of an interface.
func (c *Client) reachable() time.Duration {
	if now := c.now(); !c.drawn || now >= c.redraw {
		base := c.options.BaseReachable
		c.reachableTime = kernel.Between(c.kernel, "segment/reachable", base/2, base*3/2)
		c.drawn, c.redraw = true, now+300*time.Second
	}
	return c.reachableTime
}

func (c *Client) receive(f Frame) {
	switch f.Kind {
	case Request, Reply:
		c.receiveARP(&f)
	case Solicitation:
		c.receiveSolicitation(&f)
	case Advertisement:
		c.receiveAdvertisement(&f)
	case Answer:
		if c.options.Confirms {
			if n := c.entry(f.Sender); n != nil && n.state.valid() {
				n.confirmed = c.now()
			}
		}
		c.requests.answered(&f)
	case Packet: // it serves nothing
	}
}

// receiveARP is Linux's arp_process.
func (c *Client) receiveARP(f *Frame) {
	if f.Kind == Request && f.Target == c.v4 && f.Sender != c.v4 {
		if !f.Sender.IsUnspecified() {
			// RFC 826: who asks for us is learned. Linux does that without LOCKTIME (neigh_event_ns; measured).
			c.makeEntry(f.Sender).update(f.SenderMAC, c.heard(Stale), overriding)
		}
		answer, _ := AnswerFor(*f, c.port.MAC)
		c.port.Send(answer)
		return
	}
	if f.Sender.IsUnspecified() {
		return
	}
	if c.options.IgnoreGratuitous && f.Sender == f.Target {
		return
	}
	gratuitous := f.Gratuitous()
	n := c.entry(f.Sender)
	if n == nil || n.state == Absent {
		if !c.options.ARPAccept || !gratuitous && f.Kind != Reply {
			return
		}
		n = c.makeEntry(f.Sender)
	}
	// RFC 826: the entry of the sender is updated before the opcode is looked at.
	how, state := weak, Stale
	if gratuitous || n.ages() || c.now() > n.updated+c.options.LockTime {
		how = overriding
	}
	if f.Kind == Reply && !f.Destination.Group() {
		state = Reachable // only a reply to us alone confirms
	}
	n.update(f.SenderMAC, c.heard(state), how)
}

// heard is the state of an IPv4 entry that ARP brings: by a router's time-out every ARP counts alike.
func (c *Client) heard(state State) State {
	if c.options.ARPTimeout > 0 {
		return Reachable
	}
	return state
}

// receiveSolicitation is Linux's ndisc_recv_ns.
func (c *Client) receiveSolicitation(f *Frame) {
	if f.Target != c.v6 {
		return
	}
	if f.SenderMAC != 0 && !f.Sender.IsUnspecified() {
		c.makeEntry(f.Sender).update(f.SenderMAC, Stale, overriding)
	}
	answer, _ := AnswerFor(*f, c.port.MAC)
	c.port.Send(answer)
}

// receiveAdvertisement is Linux's ndisc_recv_na, RFC 4861 section 7.2.5.
func (c *Client) receiveAdvertisement(f *Frame) {
	if f.Solicited && f.Destination.Group() || !f.Solicited && c.options.IgnoreGratuitous {
		return // the first by RFC 4861 section 7.1.2
	}
	n := c.entry(f.Target)
	if n == nil || n.state == Absent {
		if !c.options.UntrackedNA || f.Solicited || f.TargetMAC == 0 {
			return
		}
		n = c.makeEntry(f.Target)
	}
	// Linux leaves a Failed entry alone, unlike ARP, which revives it (measured).
	if n.state == Failed {
		return
	}
	mac, how, state := f.TargetMAC, suspecting, Stale
	if mac == 0 {
		if !n.state.valid() {
			return
		}
		mac = n.mac
	}
	if f.Override {
		how = overriding
	}
	if f.Solicited {
		state = Reachable
	}
	n.update(mac, state, how)
}
