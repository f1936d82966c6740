package l2

import (
	"errors"
	"fmt"
	"strings"

	"viplog/core/lease"
	"viplog/core/node"
)

// Handler is told what happens on the wire. Its methods are called one at a time, from goroutines that read frames and send them: they
// must not wait for anything that waits for the wire. They may call Serve and Send.
type Handler interface {
	// Linked is called first, before anything is heard, and whenever the interfaces have changed.
	Linked(node.Linked)
	// Heard tells that another MAC uses an address that is served or was probed for in the last minute. The same is told at most
	// five times a second, and of an address no more than eight times as much.
	Heard(node.Heard)
	// Listened tells, once after each Listen, that another host is heard.
	Listened()
	// Sent tells what became of a frame: nil when all its forms have left by the socket. ErrNotServed, ErrNoInterface, ErrDown,
	// ErrPassed, or what the socket said. Frames are those that were given to Send, and announcements after a link was down for so
	// short that Linked has nothing to tell.
	Sent(node.Frame, error)
	// Troubled tells of an interface that cannot be served as it should be; one that cannot be listened on is told by Linked as down.
	// It is tried again when a link changes, and every five seconds.
	Troubled(error)
}

// Config says to whom it is told, and how.
type Config struct {
	Handler Handler
	// Ignored names interfaces that are neither served nor told of; nil is IgnoredByName.
	Ignored func(name string) bool
	// FramesPerSecond is how many announcements and probes are sent at most; 0 is DefaultFramesPerSecond. Answers do not count.
	FramesPerSecond int
	// Now is the clock that Until is read by; nil is Boottime.
	Now func() lease.Instant
}

// DefaultFramesPerSecond is 10,000 broadcasts, 5 Mbit/s: both forms for 10,000 addresses take two seconds, the first of them one.
const DefaultFramesPerSecond = 10_000

// ignoredPrefixes are those of MetalLB's excludel2.yaml: the links of container networks, which are no network's.
var ignoredPrefixes = []string{
	"docker", "cbr", "dummy", "virbr", "lxcbr", "veth", "cali", "tunl", "flannel", "kube-ipvs", "cni", "nodelocaldns", "lxc",
}

// IgnoredByName tells whether an interface's name is one of those that container networks give to theirs.
func IgnoredByName(name string) bool {
	for _, prefix := range ignoredPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func (c Config) withDefaults() (Config, error) {
	if c.Handler == nil {
		return c, fmt.Errorf("%w: a handler is needed", ErrConfig)
	}
	if c.FramesPerSecond < 0 {
		return c, fmt.Errorf("%w: %d frames per second; 1 or more is right, or 0 for %d", ErrConfig, c.FramesPerSecond, DefaultFramesPerSecond)
	}
	if c.FramesPerSecond == 0 {
		c.FramesPerSecond = DefaultFramesPerSecond
	}
	if c.Ignored == nil {
		c.Ignored = IgnoredByName
	}
	return c, nil
}

var (
	// ErrConfig says that a Config cannot be.
	ErrConfig = errors.New("l2: wrong configuration")
	// ErrNotServed says that an address to be announced is not served on that interface.
	ErrNotServed = errors.New("l2: the address is not served there")
	// ErrNoInterface says that there is no such interface, or none that can be served.
	ErrNoInterface = errors.New("l2: no such interface")
	// ErrDown says that the interface is switched off or has no carrier.
	ErrDown = errors.New("l2: the interface is down")
	// ErrPassed says that the instant up to which something may be sent has passed.
	ErrPassed = errors.New("l2: the time to send has passed")
	// ErrPermission says that the process may not open packet sockets.
	ErrPermission = errors.New("l2: packet sockets need CAP_NET_RAW: run as root, or give the process that capability")
	// ErrSystem says that this system is not Linux.
	ErrSystem = errors.New("l2: only Linux has the packet sockets that this needs")
)
