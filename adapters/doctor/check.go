//go:build linux

package doctor

import (
	"context"
	"time"
)

// Check is one thing to look at.
type Check struct {
	ID    string
	About string        // what is looked at, to be read after "looking at"
	Limit time.Duration // how long it takes at the most
	run   func(context.Context, host, Facts) []Finding
}

// Checks are all of them, in the order in which they run.
func Checks() []Check {
	return []Check{
		{"identity", "the host's identity", time.Second, checkIdentity},
		{"agent", "who announces addresses here", time.Second, checkAgent},
		{"capabilities", "what the process may do", time.Second, checkCapabilities},
		{"ports", "ports", 5 * time.Second, checkPorts},
		{"interface", "the node's interface", time.Second, checkInterface},
		{"nic", "the network card", time.Second, checkNIC},
		{"sysctls", "kernel settings", time.Second, checkSysctls},
		{"kube-proxy", "kube-proxy", 3 * time.Second, checkKubeProxy},
		{"clock", "the clock", time.Second, checkClock},
		{"scheduling", "how late timers are", 5 * time.Second, checkScheduling},
		{"vrrp", "VRRP advertisements", time.Minute, checkVRRP},
		{"gateway", "the gateway", 20 * time.Second, checkGateway},
	}
}

// Examine runs all checks in the calling thread's network namespace. It tells what it is looking at. After ctx ends, the checks that have not
// run are skipped.
func Examine(ctx context.Context, f Facts, tell func(about string)) ([]Finding, error) {
	return examine(ctx, thisHost(), f.withDefaults(), Checks(), tell), nil
}

func examine(ctx context.Context, h host, f Facts, checks []Check, tell func(string)) []Finding {
	all := []Finding{}
	for _, c := range checks {
		if ctx.Err() != nil {
			all = append(all, skipped(c.ID+"/interrupted", "", again, interrupted+" before this"))
			continue
		}
		tell(c.About)
		bounded, cancel := context.WithTimeout(ctx, c.Limit)
		all = append(all, c.run(bounded, h, f)...)
		cancel()
	}
	return all
}
