//go:build linux

package l2

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A socket filter says how many bytes of a frame are taken.
const wholeFrame, nothing = 0x40000, 0

// checks are loads, each with a test that a frame must pass.
type check struct {
	load bpf.Instruction
	is   bpf.JumpTest
	than uint32
}

// The kernel gives a packet socket of an interface what its VLAN, macvlan and bridge interfaces receive as well (__netif_receive_skb_core
// delivers to the socket's device and to the one that the frame came in by), and frames of VLANs that nobody has, as for another
// host. Neither was sent to this interface.
func toThis(index int) []check {
	return []check{
		{bpf.LoadExtension{Num: bpf.ExtInterfaceIndex}, bpf.JumpEqual, uint32(index)},
		{bpf.LoadExtension{Num: bpf.ExtType}, bpf.JumpLessOrEqual, unix.PACKET_MULTICAST}, // to this host, to all or to a group
	}
}

// arpFilter lets ARP requests and replies pass.
func arpFilter(index int) ([]bpf.RawInstruction, error) {
	return assemble(append(toThis(index),
		check{bpf.LoadAbsolute{Off: 12, Size: 2}, bpf.JumpEqual, etherTypeARP},
		check{bpf.LoadAbsolute{Off: etherHeader + 6, Size: 2}, bpf.JumpLessOrEqual, 2},
	))
}

// ndpFilter lets neighbour solicitations and advertisements pass that come from this link.
func ndpFilter(index int) ([]bpf.RawInstruction, error) {
	return assemble(append(toThis(index),
		check{bpf.LoadAbsolute{Off: 12, Size: 2}, bpf.JumpEqual, etherTypeIPv6},
		check{bpf.LoadAbsolute{Off: etherHeader + 6, Size: 1}, bpf.JumpEqual, icmpv6},
		check{bpf.LoadAbsolute{Off: etherHeader + 7, Size: 1}, bpf.JumpEqual, ndpHopLimit},
		check{bpf.LoadAbsolute{Off: etherHeader + ipv6Header, Size: 1}, bpf.JumpGreaterOrEqual, solicitation},
		check{bpf.LoadAbsolute{Off: etherHeader + ipv6Header, Size: 1}, bpf.JumpLessOrEqual, advertisement},
	))
}

func assemble(checks []check) ([]bpf.RawInstruction, error) {
	var program []bpf.Instruction
	for i, c := range checks {
		behind := uint8(2*(len(checks)-1-i) + 1)
		program = append(program, c.load, bpf.JumpIf{Cond: c.is, Val: c.than, SkipFalse: behind})
	}
	return bpf.Assemble(append(program, bpf.RetConstant{Val: wholeFrame}, bpf.RetConstant{Val: nothing}))
}
