package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viplog/adapters/probe"
)

func newProbe(std streams) *cobra.Command {
	o := probe.Options{}
	var protocols []string
	var output string
	var warm bool
	cmd := &cobra.Command{
		Use:   "probe ADDRESS",
		Short: "Say what a client feels of an address: outages, connections that were reset, who answers",
		Long: "Sends requests to an address, one each --spacing, until --for has passed or it is interrupted, and says then which were lost, which\n" +
			"were answered late (after 2 s), when that was and for how long. A gap is from the sending of the first request that was not answered in\n" +
			"time to the sending of the next one that was; a silence is from one answer to the next.\n\n" +
			"udp  datagrams that an echo server on --port sends back\n" +
			"tcp  numbered lines that an echo server on --port sends back, on one connection; and a new connection each 20 spacings\n" +
			"arp  who has the address: ARP, or neighbour discovery for IPv6, and which MACs answer. Needs root, or CAP_NET_RAW.\n\n" +
			"A warm probe (the default) leaves the kernel's neighbour cache as it is: a client that knows the address. A cold one (--cold; root, or\n" +
			"CAP_NET_ADMIN) deletes the entry before each request, unless an earlier one still waits for it: clients that come anew. Beside arp the kernel hears the answers to that, too.\n\n" +
			"Exit codes: 0 where something was answered, however badly; 1 where nothing was.",
		Example: "  viplog probe 10.200.0.76 --port 7 --for 1m\n  viplog probe 10.200.0.76 --protocol udp,tcp,arp --port 7\n" +
			"  viplog probe fd00::76 --protocol arp --interface eth0 -o json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			a, err := netip.ParseAddr(args[0])
			if err != nil {
				return exitError{2, fmt.Errorf("address %q: an IP address is required", args[0])}
			}
			o.Address = a
			for _, p := range protocols {
				o.Protocols = append(o.Protocols, probe.Protocol(p))
			}
			return runProbe(cmd.Context(), std, o, output)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.Spacing, "spacing", probe.DefaultSpacing, "time from one request to the next, at least "+probe.MinSpacing.String())
	f.DurationVar(&o.For, "for", probe.DefaultFor, "for how long requests are sent")
	f.Uint16Var(&o.Port, "port", probe.DefaultPort, "port of the echo server, for udp and tcp")
	f.StringSliceVar(&protocols, "protocol", []string{string(probe.UDP)}, "what is sent, with commas between: udp, tcp, arp")
	f.StringVar(&o.Interface, "interface", "", "where arp asks, and --cold deletes (default: by the route)")
	f.BoolVar(&warm, "warm", false, "leave the kernel's neighbour entry as it is (the default)")
	f.BoolVar(&o.Cold, "cold", false, "delete the kernel's neighbour entry before each request")
	f.DurationVar(&o.ColdEvery, "cold-every", 0, "with --cold: at most as often as this")
	addOutput(cmd, &output)
	cmd.MarkFlagsMutuallyExclusive("warm", "cold")
	_ = cmd.RegisterFlagCompletionFunc("protocol", cobra.FixedCompletions([]string{"udp", "tcp", "arp"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// runProbe probes, shows the progress on a terminal, and prints the result, also after an interrupt.
func runProbe(ctx context.Context, std streams, o probe.Options, output string) error {
	bar := newProgress(std.err, "", 0)
	o.Progress = func(p probe.Progress) {
		bar.say(fmt.Sprintf("%s of %s: %d sent, %d answered", p.Elapsed.Round(time.Second), o.For, p.Sent, p.Answered))
	}
	result, err := probe.Run(ctx, o)
	bar.end()
	switch {
	case errors.Is(err, probe.ErrOptions):
		return exitError{2, err}
	case err != nil:
		return failed(err)
	}
	if err := (probeView{apiVersion, "Probe", result}).print(std.out, output); err != nil {
		return failed(err)
	}
	silent := []string{}
	for _, s := range result.Streams {
		if s.InTime+s.Late > 0 {
			return nil
		}
		silent = append(silent, s.Name)
	}
	return failed(fmt.Errorf("%s: no request was answered (%s)", o.Address, strings.Join(silent, ", ")))
}
