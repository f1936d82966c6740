package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go4.org/netipx"

	"viplog/adapters/clusterfile"
	"viplog/adapters/staticpod"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/frontend"
	"viplog/core/ledger"
)

// renderFlags are those of `viplog render`.
type renderFlags struct {
	frontendFlags
	file, node, folder, format string
	iface                      string
}

func newRender(std streams) *cobra.Command {
	var flags renderFlags
	cmd := &cobra.Command{
		Use:   "render -f FILE",
		Short: "Write the control plane's front end of one node: Keepalived and HAProxy as static Pods",
		Long: "Renders from the cluster file alone what `viplog node` keeps from the log: for a node that is to come up before there is a log, or to look\n" +
			"at. The control-plane nodes carry the VIP, the load-balancer nodes where there are any, and the control-plane nodes again where\n" +
			"controlPlane.loadBalancer.mode says so. Without -o everything is printed; with it files are written below that folder by their\n" +
			"paths: -o / is for the node itself.",
		Example: "  viplog render -f cluster.yaml --node 10.200.0.2 --interface eth0 --keepalived-image registry.example.com/keepalived:2.2.8 \\\n" +
			"    --haproxy-image registry.example.com/haproxy:2.8 -o /tmp/front-end\n" +
			"  viplog render -f cluster.yaml --keepalived-image K --haproxy-image H -o /",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return runRender(std, flags) },
	}
	f := cmd.Flags()
	f.StringVarP(&flags.file, "file", "f", "", "the cluster file (required)")
	f.StringVar(&flags.node, "node", "", "the node, by its address, or as cp-1 or lb-1 in the order of the file (default: the one whose address this host has)")
	f.StringVar(&flags.iface, "interface", "", "of the node, that holds its address (default: what this host has, if it is the node)")
	f.StringVarP(&flags.folder, "output-dir", "o", "", "write the files below this folder")
	f.StringVar(&flags.format, "format", "text", "text or json, of what is printed")
	flags.add(cmd)
	_ = cmd.MarkFlagRequired("file")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	_ = cmd.MarkFlagDirname("output-dir")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("node", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return namesIn(flags.file), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// namesIn are the nodes of a file, for completion.
func namesIn(path string) (names []string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	if file, err := clusterfile.Parse(path, data); err == nil {
		for _, n := range file.Cluster.Nodes {
			names = append(names, n.Address.String(), devName(file.Cluster.Nodes, n.Address))
		}
	}
	return names
}

func runRender(std streams, flags renderFlags) error {
	if flags.format != "text" && flags.format != "json" {
		return exitError{2, fmt.Errorf("--format %q is unknown; use text or json", flags.format)}
	}
	options, wanted, err := flags.options()
	if err == nil && !wanted {
		err = errors.New("--keepalived-image and --haproxy-image are required: viplog has no images of its own")
	}
	if err != nil {
		return exitError{2, err}
	}
	file, s, err := foldFile(flags.file)
	if err != nil {
		return err
	}
	plan, err := frontend.Of(s)
	if err != nil {
		return failed(err)
	}
	local, err := localOf(flags, file, plan)
	if err != nil {
		return failed(err)
	}
	files, err := staticpod.Render(plan, local, options)
	if err != nil {
		return failed(err)
	}
	if flags.folder != "" {
		if err := writeBelow(flags.folder, files, flags.manifests); err != nil {
			return failed(err)
		}
	}
	return printFiles(std, flags, files)
}

// foldFile makes the ledger that a cluster file alone gives, under the newest rules.
func foldFile(path string) (*clusterfile.File, *ledger.State, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, failed(err)
	}
	file, err := clusterfile.Parse(path, data)
	if err != nil {
		return nil, nil, failed(err)
	}
	if file.Notice != "" {
		return nil, nil, exitError{3, errors.New(file.Notice)}
	}
	s := ledger.New(path)
	s.Apply(event.RulesAdopted{Rules: ledger.RulesKnown}, 1, 0)
	facts, refused := control.ClusterFacts(s, clusterOf(file))
	if len(refused) > 0 { // of an empty ledger nothing is refused
		return nil, nil, failed(fmt.Errorf("%s: %v", path, refused))
	}
	for _, e := range facts {
		for _, c := range s.Apply(e, s.Sequence()+1, 0) {
			if c.Kind == ledger.Rejected {
				return nil, nil, failed(fmt.Errorf("%s: %s", path, c.Reason))
			}
		}
	}
	return file, s, nil
}

// localOf finds the node, and its interface with its subnet: on this host, or as it is said.
func localOf(flags renderFlags, file *clusterfile.File, plan frontend.Plan) (local staticpod.Local, err error) {
	nodes := file.Cluster.Nodes
	if flags.node == "" {
		for _, m := range plan.Members {
			if local, err := staticpod.Find(m.Address); err == nil {
				return local, nil
			}
		}
		return local, errors.New("this host has the address of none of the nodes that carry the VIP; name one by --node")
	}
	for _, n := range nodes {
		if n.Address.String() == flags.node || devName(nodes, n.Address) == flags.node {
			local.Address = n.Address
		}
	}
	if !local.Address.IsValid() {
		return local, fmt.Errorf("--node %q is no node of %s; there are %s", flags.node, flags.file, strings.Join(namesIn(flags.file), ", "))
	}
	if here, err := staticpod.Find(local.Address); err == nil && flags.iface == "" {
		return here, nil
	}
	local.Interface = flags.iface
	for _, s := range file.Settings.Subnets {
		if s.Prefix.Contains(local.Address) {
			local.PrefixBits = s.Prefix.Bits()
			if local.Interface == "" {
				local.Interface = s.Interface
			}
		}
	}
	switch {
	case local.Interface == "":
		return local, fmt.Errorf("%s is another host's: say which interface of it has that address by --interface, or in the Settings' subnets", local.Address)
	case local.PrefixBits == 0:
		local.PrefixBits = smallestPrefix(plan, local.Address).Bits()
	}
	return local, nil
}

// smallestPrefix holds the VIP, the members and the node, where nobody says how long the subnet's is. None of them is its first or last address,
// which are no host's.
func smallestPrefix(plan frontend.Plan, a netip.Addr) netip.Prefix {
	all := []netip.Addr{a, plan.VIP}
	for _, m := range plan.Members {
		all = append(all, m.Address)
	}
	for _, p := range smallestPrefixes(all) {
		if !p.Contains(a) {
			continue
		}
		for p.Bits() > 0 && (slices.Contains(all, p.Addr()) || slices.Contains(all, netipx.PrefixLastIP(p))) {
			p = netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
		}
		return p
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// writeBelow writes manifests last: a kubelet may look at them at once.
func writeBelow(folder string, files []staticpod.File, manifests string) error {
	isManifest := func(f staticpod.File) int {
		if filepath.Dir(f.Path) == manifests {
			return 1
		}
		return 0
	}
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b staticpod.File) int { return isManifest(a) - isManifest(b) })
	for _, f := range files {
		path := filepath.Join(folder, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := staticpod.Write(staticpod.File{Path: path, Content: f.Content, Mode: f.Mode}); err != nil {
			return err
		}
	}
	return nil
}

// renderedView is one file of `viplog render --format json`.
type renderedView struct {
	Path    string      `json:"path"`
	Mode    fs.FileMode `json:"mode"`
	Content string      `json:"content"`
}

func printFiles(std streams, flags renderFlags, files []staticpod.File) error {
	if flags.format == "json" {
		items := []renderedView{}
		for _, f := range files {
			items = append(items, renderedView{filepath.Join(flags.folder, f.Path), f.Mode, string(f.Content)})
		}
		return json.NewEncoder(std.out).Encode(struct {
			APIVersion string         `json:"apiVersion"`
			Kind       string         `json:"kind"`
			Items      []renderedView `json:"items"`
		}{"viplog/v1", "RenderedFileList", items})
	}
	for _, f := range files {
		if flags.folder != "" {
			fmt.Fprintf(std.out, "%s\n", filepath.Join(flags.folder, f.Path))
			continue
		}
		fmt.Fprintf(std.out, "==> %s <==\n%s\n", f.Path, f.Content)
	}
	return nil
}
