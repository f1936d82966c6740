//go:build linux

package doctor

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// socket is one that waits for what comes.
type socket struct {
	at    netip.AddrPort
	inode uint64
}

// States of /proc/net/tcp and udp: a TCP socket that listens, a UDP socket without a peer (include/net/tcp_states.h).
var waitingStates = map[string]string{"tcp": "0A", "udp": "07"}

// waiting are the sockets of a network, tcp or udp, that wait in the calling thread's namespace.
func (h host) waiting(network string) (all []socket, err error) {
	for _, file := range []string{network, network + "6"} {
		text, err := os.ReadFile(filepath.Join(h.proc, "thread-self/net", file))
		if errors.Is(err, fs.ErrNotExist) && file != network {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		for row := range strings.Lines(string(text)) {
			s, state, err := parseSocket(row)
			if err == nil && state == waitingStates[network] {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// parseSocket reads a row of /proc/net/tcp: sl, local_address, rem_address, st, …, and the inode as the tenth (proc(5)).
func parseSocket(row string) (s socket, state string, err error) {
	fields := strings.Fields(row)
	if len(fields) < 10 {
		return s, "", fmt.Errorf("not a socket: %q", row)
	}
	address, port, _ := strings.Cut(fields[1], ":")
	a, err := parseHexAddress(address)
	if err != nil {
		return s, "", err
	}
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return s, "", err
	}
	inode, err := strconv.ParseUint(fields[9], 10, 64)
	return socket{netip.AddrPortFrom(a, uint16(p)), inode}, fields[3], err
}

// parseHexAddress reads words of 32 bits in the machine's order, whose bytes are in the network's.
func parseHexAddress(text string) (netip.Addr, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return netip.Addr{}, err
	}
	for i := 0; i+4 <= len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.Addr{}, fmt.Errorf("not an address: %q", text)
	}
	return a.Unmap(), nil
}

// holders finds the process of each socket, as far as this process may look.
func (h host) holders(inodes map[uint64]bool) map[uint64]process {
	found := map[uint64]process{}
	if len(inodes) == 0 {
		return found
	}
	for _, p := range h.processes() {
		folder := filepath.Join(h.proc, strconv.Itoa(p.pid), "fd")
		files, _ := os.ReadDir(folder)
		for _, f := range files {
			target, _ := os.Readlink(filepath.Join(folder, f.Name()))
			inode, ok := socketInode(target)
			if _, known := found[inode]; ok && inodes[inode] && !known {
				found[inode] = p
			}
		}
	}
	return found
}

// socketInode reads what a link in /proc/PID/fd points to, as socket:[4711].
func socketInode(target string) (uint64, bool) {
	text, is := strings.CutPrefix(target, "socket:[")
	inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
	return inode, is && err == nil
}
