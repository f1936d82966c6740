//go:build linux

package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go4.org/netipx"
)

const (
	// questions is how often something is asked at the most.
	questions = 3
	// secondAnswer is how long after an answer another one is waited for.
	secondAnswer = 200 * time.Millisecond
)

// checkGateway asks the gateway for its MAC; and, where the operator has named a spare address, whether it follows when that moves.
func checkGateway(ctx context.Context, h host, f Facts) []Finding {
	const id = "gateway/answers"
	l, all, err := f.chosen()
	if err != nil {
		return []Finding{skipped(id, f.Interface, nameIt, "%v", err)}
	}
	gateway, err := f.gateway(l)
	if err != nil {
		return []Finding{skipped(id, l.Name, "let the process use netlink", "%v", err)}
	}
	if !gateway.IsValid() {
		return []Finding{skipped(id, l.Name, "declare it in Settings.subnets", "no gateway is declared, and no default route of IPv4 leaves by %s", l.Name)}
	}
	own, found := f.own(l, gateway)
	if !found {
		return []Finding{skipped(id, gateway.String(), "give it an address of the gateway's subnet", "%s has no address to ask from", l.Name)}
	}
	w, err := h.openWire(l, untagged(gatewayFilter()))
	if err != nil {
		return []Finding{skipped(id, gateway.String(), "run it as root", "%v", err)}
	}
	defer w.close()
	macs, err := w.ask(ctx, own, gateway)
	if err != nil {
		return []Finding{skipped(id, gateway.String(), "look at the interface", "it cannot be asked: %v", err)}
	}
	if ctx.Err() != nil {
		return []Finding{skipped(id, gateway.String(), again, interrupted)}
	}
	findings := []Finding{judgeAnswers(gateway, l, macs)}
	if len(macs) == 0 {
		return append(findings, skipped("gateway/follows", gateway.String(), "", "it does not answer"))
	}
	return append(findings, f.judgeFollowing(ctx, h, w, l, all, neighbour{gateway, macs[0]}))
}

func judgeAnswers(gateway netip.Addr, l link, macs []mac) Finding {
	const id = "gateway/answers"
	switch len(macs) {
	case 0:
		return wrong(id, gateway.String(), "look at the cable, the VLAN, and whether the gateway's address is right",
			"it does not answer ARP on %s, asked %d times: clients behind it reach no address here", l.Name, questions)
	case 1:
		return fine(id, gateway.String(), "%s answers for it", macs[0])
	}
	var texts []string
	for _, m := range macs {
		texts = append(texts, m.String())
	}
	return doubtful(id, gateway.String(), "find out which of them is the gateway, and take the address from the other",
		"several answer for it: %s", strings.Join(texts, ", "))
}

// ask asks who has an address until somebody answers, and gives all who do.
func (w *wire) ask(ctx context.Context, sender, address netip.Addr) (macs []mac, err error) {
	for range questions {
		if err := w.send(question(w.me, sender, address)); err != nil {
			return nil, err
		}
		take := func(b []byte) bool {
			m, is := parseARP(b)
			if is && m.sender == address && m.senderMAC != w.me && !slices.Contains(macs, m.senderMAC) {
				macs = append(macs, m.senderMAC)
				return false
			}
			return true
		}
		if err := w.receive(ctx, w.askEach, take); err != nil {
			return nil, err
		}
		if len(macs) > 0 {
			return macs, w.receive(ctx, secondAnswer, func(b []byte) bool { take(b); return true })
		}
	}
	return nil, nil
}

// unfit says why an address cannot be the spare one; "" if it can.
func (f Facts) unfit(l link, all []link, gateway netip.Addr) string {
	a := f.Probe
	subnet := netip.Prefix{}
	for _, p := range l.prefixes {
		if p.Contains(gateway) {
			subnet = p.Masked()
		}
	}
	_, isOwn := holderOf(all, a)
	switch {
	case !a.Is4():
		return "it is not an address of IPv4"
	case !subnet.Contains(a):
		return fmt.Sprintf("it is not in the gateway's subnet %s", subnet)
	case a == subnet.Addr() || !subnet.Contains(a.Next()):
		return fmt.Sprintf("it is the network's or the broadcast address of %s", subnet)
	case isOwn:
		return "it is this host's own"
	case a == gateway:
		return "it is the gateway's"
	case slices.Contains(f.Nodes, a):
		return "it is a node's"
	case f.Plan != nil && a == f.Plan.VIP:
		return "it is the control plane's VIP"
	case slices.ContainsFunc(f.Pools, func(r netipx.IPRange) bool { return r.Contains(a) }):
		return "it is in a pool"
	}
	return ""
}

// judgeFollowing makes sure that nobody has the spare address, and then moves it.
func (f Facts) judgeFollowing(ctx context.Context, h host, w *wire, l link, all []link, gateway neighbour) Finding {
	const id, another = "gateway/follows", "name an address of the subnet that nobody has, and that is in no pool"
	about := gateway.address.String()
	if !f.Probe.IsValid() {
		return skipped(id, about, "name a spare address of the subnet with --probe-address, and it is moved between two MACs of this host",
			"whether it takes gratuitous ARP over cannot be seen without an address to move")
	}
	if why := f.unfit(l, all, gateway.address); why != "" {
		return wrong(id, about, another, "%s cannot be moved: %s", f.Probe, why)
	}
	users, err := w.users(ctx, f.Probe)
	switch {
	case err != nil:
		return skipped(id, about, "look at the interface", "%v", err)
	case ctx.Err() != nil:
		return skipped(id, about, again, interrupted)
	case len(users) > 0:
		return wrong(id, about, another, "%s is not spare: %s uses it. Nothing was sent about it but questions", f.Probe, users[0])
	}
	if err := w.conn.SetPromiscuous(true); err != nil {
		return skipped(id, about, "run it as root", "frames to a second MAC cannot be received: %v", err)
	}
	t := &trial{wire: w, h: h, gateway: gateway, address: f.Probe, second: secondMAC(w.me)}
	return t.judge(ctx)
}

// users asks whether somebody has an address, as one does who wants to have it (RFC 5227 section 2.1.1), and gives who does.
func (w *wire) users(ctx context.Context, address netip.Addr) (macs []mac, err error) {
	for range questions {
		if err := w.send(question(w.me, netip.IPv4Unspecified(), address)); err != nil {
			return nil, err
		}
		err := w.receive(ctx, w.askEach, func(b []byte) bool {
			m, is := parseARP(b)
			uses := is && m.senderMAC != w.me && (m.sender == address || m.sender.IsUnspecified() && m.target == address)
			if uses {
				macs = append(macs, m.senderMAC)
			}
			return !uses
		})
		if err != nil || len(macs) > 0 {
			return macs, err
		}
	}
	return nil, nil
}
