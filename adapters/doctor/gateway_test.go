//go:build linux

package doctor

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/vishvananda/netlink"
	"go4.org/netipx"

	"viplog/core/event"
	"viplog/fixtures/lab"
)

// routed is a node with a gateway.
func routed(t *testing.T) (s *lab.Switch, h, gateway *lab.Host) {
	t.Helper()
	l, s, h := node(t)
	gateway = l.Gateway("gateway")
	s.Attach(gateway, "eth0", gate.String()+"/24")
	h.DefaultRoute(gate)
	return s, h, gateway
}

func TestTheGatewayAnswers(t *testing.T) {
	s, h, gateway := routed(t)
	f := Facts{Self: self}
	all := looked(t, h, f, "gateway")
	expect(t, all, "gateway/answers", OK, gateway.MAC("eth0").String())
	expect(t, all, "gateway/follows", Skipped, "without an address to move")
	if all[0].About != gate.String() {
		t.Errorf("%+v", all[0])
	}

	other := s.Host
	other.Addresses("br0", gate.String()+"/24")
	expect(t, looked(t, h, f, "gateway"), "gateway/answers", Warning, gateway.MAC("eth0").String())

	nobody := Facts{Self: self, Subnets: []event.Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.253")}}}
	began := time.Now()
	all = looked(t, h, nobody, "gateway")
	expect(t, all, "gateway/answers", Error, "asked 3 times")
	expect(t, all, "gateway/follows", Skipped, "does not answer")
	if took := time.Since(began); took < 800*time.Millisecond {
		t.Errorf("three questions in %v", took)
	}
	expect(t, looked(t, gateway, Facts{Self: gate}, "gateway"), "gateway/answers", Skipped, "no gateway is declared")
}

func TestAGatewayThatListensFollows(t *testing.T) {
	_, h, gateway := routed(t)
	h.Forward() // a node does, and must not get into the way of its own frames
	f := Facts{Self: self, Probe: spare}
	for range 2 { // the second time it knows the address
		expect(t, looked(t, h, f, "gateway"), "gateway/follows", OK, "10.0.0.77 was moved from 02:00:00:00:00:01 to 42:00:00:00:00:01")
	}
	if entry, found := gateway.Neighbour(spare); !found || entry.HardwareAddr.String() != h.MAC("eth0").String() {
		t.Errorf("what is left at the gateway is %v", entry)
	}
}

func TestADeafGatewayIsFound(t *testing.T) {
	t.Run("it ignores gratuitous ARP", func(t *testing.T) {
		_, h, gateway := routed(t)
		sysctl(t, gateway, "net/ipv4/conf/eth0/drop_gratuitous_arp", "1")
		expect(t, looked(t, h, Facts{Self: self, Probe: spare}, "gateway"), "gateway/follows", Error, "still sends to 02:00:00:00:00:01")
	})
	t.Run("it has a static entry", func(t *testing.T) {
		_, h, gateway := routed(t)
		fix(gateway, h.MAC("eth0"))
		expect(t, looked(t, h, Facts{Self: self, Probe: spare}, "gateway"), "gateway/follows", Error, "still sends to 02:00:00:00:00:01")
	})
	t.Run("it has one of what was moved before", func(t *testing.T) {
		_, h, gateway := routed(t)
		fix(gateway, net.HardwareAddr{0x42, 0, 0, 0, 0, 1})
		expect(t, looked(t, h, Facts{Self: self, Probe: spare}, "gateway"), "gateway/follows", Error, "still sends to 42:00:00:00:00:01")
	})
}

// fix gives a gateway an entry for the spare address that no ARP changes.
func fix(gateway *lab.Host, at net.HardwareAddr) {
	gateway.Change("eth0", func(l netlink.Link) error {
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: spare.AsSlice(), HardwareAddr: at, State: netlink.NUD_PERMANENT})
	})
}

func TestWhatCannotBeToldOfAGatewayIsSkipped(t *testing.T) {
	t.Run("it answers no echo", func(t *testing.T) {
		_, h, gateway := routed(t)
		sysctl(t, gateway, "net/ipv4/icmp_echo_ignore_all", "1")
		expect(t, looked(t, h, Facts{Self: self, Probe: spare}, "gateway"), "gateway/follows", Skipped, "answers no echo request")
	})
	t.Run("a switch lets one MAC pass", func(t *testing.T) {
		s, h, _ := routed(t)
		s.Must(func() error {
			command := exec.Command("nft", "-f", "-")
			command.Stdin = strings.NewReader("table netdev one {\nchain in {\ntype filter hook ingress device \"port1\" priority 0;\nether saddr 42:00:00:00:00:01 drop\n}\n}\n")
			return command.Run()
		})
		expect(t, looked(t, h, Facts{Self: self, Probe: spare}, "gateway"), "gateway/follows", Skipped, "nothing came to either")
	})
}

func TestWhoIsInterruptedHasNotFoundSilence(t *testing.T) {
	_, h, _ := routed(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.Must(func() error {
		f := Facts{Self: self, Plan: plan()}.withDefaults()
		expect(t, checkGateway(ctx, thisHost(), f), "gateway/answers", Skipped, "interrupted")
		expect(t, checkVRRP(ctx, thisHost(), f), "vrrp/heard", Skipped, "interrupted")
		return nil
	})
}

func TestATrialThatIsInterruptedConcludesNothing(t *testing.T) {
	_, h, gateway := routed(t)
	fix(gateway, h.MAC("eth0"))
	h.Must(func() error {
		system := thisHost()
		system.askEach = 300 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), 6*system.askEach) // it has found nobody who has the address, and moves it
		defer cancel()
		f := Facts{Self: self, Probe: spare}
		expect(t, checkGateway(ctx, system, f.withDefaults()), "gateway/follows", Skipped, "interrupted")
		return nil
	})
}

// scripted is a gateway without a kernel: react says to which MAC it sends the answer to an echo request, by how often the spare address was
// announced at each; false: it asks for the address instead.
func scripted(t *testing.T, gateway *lab.Host, react func(announced map[mac]int, e echo) (mac, bool)) {
	t.Helper()
	var w *wire
	gateway.Must(func() error {
		all, err := readLinks()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(l link) bool { return l.Name == "eth0" })
		w, err = thisHost().openWire(all[i], untagged(gatewayFilter()))
		return err
	})
	announced := map[mac]int{}
	answer := func(b []byte) error {
		if m, is := parseARP(b); is {
			switch {
			case m.isRequest && m.target == gate:
				return w.send(arpFrame(arp.OperationReply, w.me, m.senderMAC, gate, m.senderMAC, m.sender))
			case m.isRequest && m.sender == spare && m.target == spare:
				announced[m.senderMAC]++
			}
			return nil
		}
		e, is := parseEcho(b)
		if !is || e.kind != echoRequest || e.address != gate {
			return nil
		}
		to, answers := react(announced, e)
		if !answers {
			return w.send(question(w.me, gate, spare))
		}
		return w.send(echo{echoReply, w.me, to, gate, e.source, e.id, e.sequence}.bytes())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.receive(t.Context(), time.Minute, func(b []byte) bool {
			if err := answer(b); err != nil {
				t.Error(err)
			}
			return true
		})
	}()
	t.Cleanup(func() { <-ended; w.close() })
}

func TestAGatewayThatFollowsLateIsDoubtful(t *testing.T) {
	first, second := mac{2, 0, 0, 0, 0, 1}, mac{0x42, 0, 0, 0, 0, 1}
	for _, c := range []struct {
		name     string
		react    func(map[mac]int, echo) (mac, bool)
		severity Severity
		says     string
	}{
		{"it takes one announcement in two", func(announced map[mac]int, _ echo) (mac, bool) {
			if announced[second] > 1 {
				return second, true
			}
			return first, true
		}, Warning, "only the 2. announcement"},
		{"it forgets, and asks", func(announced map[mac]int, _ echo) (mac, bool) { return first, announced[second] == 0 }, Warning, "it asks for 10.0.0.77"},
		{"it goes to a third one", func(announced map[mac]int, _ echo) (mac, bool) {
			if announced[second] == 0 {
				return first, true
			}
			return mac{2, 0, 0, 0, 0, 9}, true
		}, Error, "it still sends to 02:00:00:00:00:09"},
		{"it follows at once", func(announced map[mac]int, e echo) (mac, bool) { return e.from, true }, OK, "it follows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, s, h := node(t)
			gateway := l.Host("gateway")
			s.Attach(gateway, "eth0")
			h.DefaultRoute(gate)
			scripted(t, gateway, c.react)
			expect(t, looked(t, h, Facts{Self: self, Probe: spare}, "gateway"), "gateway/follows", c.severity, c.says)
		})
	}
}

func TestAnAddressThatSomebodyMayHaveIsNotMoved(t *testing.T) {
	s, h, gateway := routed(t)
	s.Addresses("br0", spare.String()+"/24")
	expect(t, looked(t, h, Facts{Self: self, Probe: spare}, "gateway"), "gateway/follows", Error, "is not spare")
	if entry, found := gateway.Neighbour(spare); found {
		t.Errorf("the gateway has heard of it: %v", entry)
	}
	pools := []netipx.IPRange{netipx.MustParseIPRange("10.0.0.80-10.0.0.90")}
	for address, why := range map[string]string{
		"10.0.0.0": "network's", "10.0.0.255": "broadcast", "10.0.0.1": "own", "10.0.0.254": "gateway's", "10.0.0.2": "node's", "10.0.0.100": "VIP", "10.0.0.85": "pool",
		"10.0.1.7": "not in the gateway's subnet 10.0.0.0/24", "fd00::7": "not an address of IPv4",
	} {
		f := Facts{Self: self, Probe: netip.MustParseAddr(address), Nodes: []netip.Addr{self, peer}, Plan: plan(), Pools: pools}
		expect(t, looked(t, h, f, "gateway"), "gateway/follows", Error, why)
	}
}
