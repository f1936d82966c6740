package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"viplog/adapters/clusterfile"
	"viplog/adapters/doctor"
	"viplog/adapters/identity"
	"viplog/adapters/l2"
	"viplog/adapters/staticpod"
	"viplog/core/event"
	"viplog/core/frontend"
	"viplog/core/lease"
)

// doctorFlags are those of `viplog doctor`.
type doctorFlags struct {
	file, identity, node, probe, iface, data string
	monitorPort                              uint16
	output                                   string

	identityGiven bool
}

func newDoctor(std streams) *cobra.Command {
	var flags doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say whether this host can carry addresses and the control plane's VIP, and what to do where it cannot",
		Long: "Looks at the host that it runs on: ports, kernel settings, the interface and its card, kube-proxy's mode, the clock, how late timers\n" +
			"are, what the process may do, who else announces addresses, VRRP, and the gateway. It may run before viplog does, and while it does. The cluster's\n" +
			"file (-f) tells it of the control plane's VIP; the host's identity who the host is. What it cannot see it skips, and says why.\n\n" +
			"It changes nothing, and sends nothing but three ARP requests for the gateway. With --probe-address, a spare address of the subnet that\n" +
			"is in no pool, it makes sure that nobody has it, announces it at this host's MAC and then at another one, and sees by the answers to its\n" +
			"echo requests whether the gateway follows gratuitous ARP, as a take-over needs. Where a switch's port shuts down at a second MAC\n" +
			"(port security), do without.\n\n" +
			"Run as root: else it cannot hear VRRP, ask the gateway, or say whose a port is. Exit codes: 0 no error was found, 1 one was.",
		Example: "  viplog doctor -f cluster.yaml\n  viplog doctor -f cluster.yaml --node lb-1 --probe-address 10.200.0.250\n" +
			"  viplog doctor --identity /etc/viplog -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags.identityGiven = cmd.Flags().Changed("identity")
			if err := checkOutput(flags.output); err != nil {
				return err
			}
			return runDoctor(cmd.Context(), std, flags)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.file, "file", "f", "", "the cluster file")
	f.StringVar(&flags.identity, "identity", "/etc/viplog", "the host's folder, as `viplog init` made it, if it is there")
	f.StringVar(&flags.node, "node", "",
		"the node that this host is: its address, its name, or as cp-1 or lb-1 in the order of the file (default: the identity's, else by the host's "+
			"addresses)")
	f.StringVar(&flags.probe, "probe-address", "", "a spare IPv4 address of the subnet, to see whether the gateway follows gratuitous ARP")
	f.StringVar(&flags.iface, "interface", "", "the interface to look at (default: the one that has the node's address)")
	f.StringVar(&flags.data, "data", "/var/lib/viplog", "the agent's folder for what the host must not forget")
	f.Uint16Var(&flags.monitorPort, "monitor-port", staticpod.DefaultMonitorPort, "of 127.0.0.1, where HAProxy tells of its health")
	addOutput(cmd, &flags.output)
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	_ = cmd.MarkFlagDirname("identity")
	_ = cmd.MarkFlagDirname("data")
	_ = cmd.RegisterFlagCompletionFunc("node", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return flags.nodeNames(), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("interface", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return interfaceNames(), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("probe-address", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("monitor-port", cobra.NoFileCompletions)
	return cmd
}

func runDoctor(ctx context.Context, std streams, flags doctorFlags) error {
	facts, err := flags.facts()
	if err != nil {
		return asFailure(err)
	}
	bar := newProgress(std.err, "", 0)
	findings, err := doctor.Examine(ctx, facts, func(about string) { bar.say("looking at " + about + " …") })
	bar.end()
	if err != nil {
		return failed(err)
	}
	if err := (doctorView{apiVersion, "Doctor", findings}).print(std.out, flags.output); err != nil {
		return failed(err)
	}
	switch {
	case ctx.Err() != nil:
		return failed(errors.New("it was interrupted"))
	case doctor.Failed(findings):
		return exitError{1, errors.New("")} // the findings have said it
	}
	return nil
}

// facts are what the flags, the cluster's file and the host's identity say.
func (f doctorFlags) facts() (doctor.Facts, error) {
	facts := doctor.Facts{Interface: f.iface, Data: f.data, Ignored: l2.IgnoredByName}
	var err error
	if f.probe != "" {
		if facts.Probe, err = netip.ParseAddr(f.probe); err != nil {
			return facts, exitError{2, fmt.Errorf("--probe-address %q: an IPv4 address is required", f.probe)}
		}
	}
	var file *clusterfile.File
	if f.file != "" {
		if file, err = addFile(&facts, f.file); err != nil {
			return facts, err
		}
	}
	who := f.readIdentity(&facts)
	if facts.Self, err = f.self(file, who); err != nil {
		return facts, exitError{2, err}
	}
	facts.Ports = f.ports(facts, file, who)
	return facts, nil
}

// addFile adds what the cluster's file says. A cluster that runs may remember another router id than the file alone gives: the settings then say
// so, or should.
func addFile(facts *doctor.Facts, path string) (*clusterfile.File, error) {
	file, s, err := foldFile(path)
	if err != nil {
		return nil, err
	}
	facts.Cluster, facts.Subnets = file.Cluster.Name, file.Settings.Subnets
	facts.Timing = lease.TimingOf(file.Settings.Profile)
	for _, n := range file.Cluster.Nodes {
		facts.Nodes = append(facts.Nodes, n.Address)
	}
	for _, pool := range file.Pools {
		for _, text := range pool.Addresses {
			if r, err := event.ParseRange(text); err == nil { // Parse has read it already
				facts.Pools = append(facts.Pools, r)
			}
		}
	}
	switch plan, err := frontend.Of(s); {
	case err == nil:
		facts.Plan = &plan
	case !errors.Is(err, frontend.ErrNotOurs): // then there is none to look at
		return nil, err
	}
	return file, nil
}

// readIdentity adds what is known of the host's folder. That there is none is no mistake where nobody named it.
func (f doctorFlags) readIdentity(facts *doctor.Facts) *identity.Identity {
	who, err := identity.Read(f.identity)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !f.identityGiven:
		return nil
	case err != nil:
		facts.Identity = &doctor.Identity{Folder: f.identity, Problem: err}
		return nil
	case !who.Self.Address.IsValid():
		facts.Identity = &doctor.Identity{Folder: f.identity, Problem: fmt.Errorf("it is the operator %s's, and a host's is needed", who.Operator)}
		return nil
	}
	facts.Identity = &doctor.Identity{Folder: f.identity, Expires: who.Expires}
	facts.Cluster = who.Directory.Cluster
	if len(facts.Nodes) == 0 {
		for _, h := range who.Directory.Hosts {
			facts.Nodes = append(facts.Nodes, h.Address)
		}
	}
	return who
}

// self is the node that this host is; the zero Addr if nothing tells.
func (f doctorFlags) self(file *clusterfile.File, who *identity.Identity) (netip.Addr, error) {
	if f.node != "" {
		return f.named(file, who)
	}
	if who != nil {
		return who.Self.Address, nil
	}
	if file == nil {
		return netip.Addr{}, nil
	}
	for _, own := range hostAddresses() {
		if slices.ContainsFunc(file.Cluster.Nodes, func(n event.DeclaredNode) bool { return n.Address == own }) {
			return own, nil
		}
	}
	return netip.Addr{}, nil
}

// named finds the node of --node. An address may be one that neither the file nor the identity has.
func (f doctorFlags) named(file *clusterfile.File, who *identity.Identity) (netip.Addr, error) {
	if a, err := netip.ParseAddr(f.node); err == nil {
		return a, nil
	}
	if who != nil {
		for _, h := range who.Directory.Hosts {
			if h.Name == f.node {
				return h.Address, nil
			}
		}
	}
	if file != nil {
		for _, n := range file.Cluster.Nodes {
			if devName(file.Cluster.Nodes, n.Address) == f.node {
				return n.Address, nil
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("--node %q is neither an address nor a node's name; there are %s", f.node, strings.Join(f.nodeNames(), ", "))
}

// nodeNames are those that --node takes, as far as the file and the identity tell.
func (f doctorFlags) nodeNames() (names []string) {
	names = namesIn(f.file)
	if who, err := identity.Read(f.identity); err == nil {
		for _, h := range who.Directory.Hosts {
			names = append(names, h.Address.String(), h.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func hostAddresses() (all []netip.Addr) {
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p.Addr().Unmap())
		}
	}
	return all
}

func interfaceNames() (names []string) {
	links, _ := net.Interfaces()
	for _, l := range links {
		names = append(names, l.Name)
	}
	return names
}
