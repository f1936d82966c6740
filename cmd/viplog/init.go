package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"viplog/adapters/clusterfile"
	"viplog/adapters/identity"
	"viplog/adapters/jetstream"
	"viplog/core/control"
	"viplog/core/event"
)

// Values of --format.
const (
	formatFolder  = "folder"
	formatSecrets = "secrets"
)

// initFlags are those of `viplog init`.
type initFlags struct {
	file, folder, output     string
	operators, readers, drop []string
	names                    []string // ADDRESS=NAME
	format, namespace        string
	renew, external          bool
	heartbeat, nats, routes  uint16
}

func newInit(std streams) *cobra.Command {
	var flags initFlags
	cmd := &cobra.Command{
		Use:   "init -f FILE -o DIR",
		Short: "Make the identities of a cluster's hosts and operators: keys, certificates, and who may do what",
		Long: "Makes, for every host that a cluster file declares, a folder DIR/hosts/ADDRESS to be copied to that host: its key, its\n" +
			"certificate, and hosts.json, which names everybody's public key and roles. Operators have DIR/operators/NAME. The\n" +
			"key that signs certificates is in DIR/ca only: keep that where no host is.\n\n" +
			"Run again it keeps keys, adds what is new, drops from hosts.json hosts that the file declares no more, and renews\n" +
			"certificates in their last year. Every host then needs the new hosts.json.",
		Example: "  viplog init -f cluster.yaml -o identities --operator alice\n" +
			"  viplog init -f cluster.yaml -o identities --format secrets",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			return asFailureOf(flags.run(std))
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.file, "filename", "f", "", "cluster file, - for standard input")
	f.StringVarP(&flags.folder, "out", "o", "", "folder to write to")
	f.StringArrayVar(&flags.operators, "operator", nil, "an operator who may append an operator's facts; may be repeated")
	f.StringArrayVar(&flags.readers, "reader", nil, "an operator who may only read; may be repeated")
	f.StringArrayVar(&flags.drop, "drop", nil, "an operator or reader to drop; may be repeated")
	f.StringArrayVar(&flags.names, "name", nil, "ADDRESS=NAME: a host's name (default: its address); may be repeated")
	f.StringVar(&flags.format, "format", formatFolder, "folder, or secrets: Kubernetes Secrets in DIR/secrets as well")
	f.StringVar(&flags.namespace, "namespace", defaultNamespace, "namespace of the Secrets")
	f.BoolVar(&flags.renew, "renew", false, "make every certificate anew")
	f.BoolVar(&flags.external, "external-nats", false, "write DIR/nats/users.conf: the users and their rights, for a nats-server of your own")
	f.Uint16Var(&flags.heartbeat, "heartbeat-port", 0, "UDP port of heartbeats (default: what it is, else 7947)")
	f.Uint16Var(&flags.nats, "nats-port", 0, "port of controllers' NATS for clients (default: what it is, else 4222)")
	f.Uint16Var(&flags.routes, "routes-port", 0, "port of controllers' NATS for each other (default: what it is, else 6222)")
	f.StringVar(&flags.output, "output", "table", "output: "+strings.Join(outputs, ", "))
	_ = cmd.MarkFlagRequired("filename")
	_ = cmd.MarkFlagRequired("out")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml")
	_ = cmd.MarkFlagDirname("out")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatFolder, formatSecrets}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("name", flags.completeNames)
	_ = cmd.RegisterFlagCompletionFunc("drop", flags.completeOperators)
	for _, free := range []string{"operator", "reader", "namespace", "heartbeat-port", "nats-port", "routes-port"} {
		_ = cmd.RegisterFlagCompletionFunc(free, cobra.NoFileCompletions)
	}
	return cmd
}

// asFailureOf is asFailure, and nothing for no error.
func asFailureOf(err error) error {
	if err == nil {
		return nil
	}
	return asFailure(err)
}

// check finds mistakes of usage.
func (f initFlags) check() error {
	usage := func(format string, values ...any) error { return exitError{2, fmt.Errorf(format, values...)} }
	if f.format != formatFolder && f.format != formatSecrets {
		return usage("--format %q: one of folder, secrets is required", f.format)
	}
	if errs := validation.IsDNS1123Label(f.namespace); len(errs) > 0 {
		return usage("--namespace %q: %s", f.namespace, strings.Join(errs, "; "))
	}
	if f.nats != 0 && f.nats == f.routes {
		return usage("--nats-port and --routes-port are both %d: two ports are required", f.nats)
	}
	for _, named := range f.names {
		address, name, ok := strings.Cut(named, "=")
		if _, err := netip.ParseAddr(address); !ok || err != nil {
			return usage("--name %q: an address, = and a name are required, as in 10.0.0.2=lb-1", named)
		}
		if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
			return usage("--name %q: %s", named, strings.Join(errs, "; "))
		}
	}
	return checkOutput(f.output)
}

func (f initFlags) run(std streams) error {
	file, err := f.read(std.in)
	if err != nil {
		return err
	}
	for _, w := range file.Warnings {
		fmt.Fprintln(std.err, "warning:", w)
	}
	if file.Notice != "" {
		return exitError{3, errors.New(file.Notice)}
	}
	request, err := f.request(file)
	if err != nil {
		return err
	}
	directory, items, err := identity.Issue(f.folder, request)
	if err != nil {
		return err
	}
	if f.format == formatSecrets {
		if err := writeSecrets(f.folder, f.namespace, directory); err != nil {
			return err
		}
	}
	if f.external {
		path := filepath.Join(f.folder, "nats", "users.conf")
		if err := identity.WriteFile(path, []byte(externalConfig(directory)), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(std.err, "wrote %s: include it in your server's configuration, as it says at its head\n", path)
	}
	return printIdentities(std, f, directory, items)
}

func (f initFlags) read(stdin io.Reader) (*clusterfile.File, error) {
	if f.file == "-" {
		data, err := io.ReadAll(stdin)
		if err != nil {
			return nil, err
		}
		return clusterfile.Parse("standard input", data)
	}
	data, err := os.ReadFile(f.file)
	if err != nil {
		return nil, err
	}
	return clusterfile.Parse(f.file, data)
}

// request is what the flags and the cluster file ask for.
func (f initFlags) request(file *clusterfile.File) (identity.Request, error) {
	r := identity.Request{Cluster: file.Cluster.Name, Hosts: hostsOf(file), Drop: f.drop, Renew: f.renew, Now: time.Now()}
	for _, named := range f.names {
		text, name, _ := strings.Cut(named, "=")
		address := netip.MustParseAddr(text)
		i := slices.IndexFunc(r.Hosts, func(h identity.HostRequest) bool { return h.Address == address })
		if i < 0 {
			return r, fmt.Errorf("--name %s: %s declares no host %s", named, f.file, address)
		}
		r.Hosts[i].Name = name
	}
	for i := range r.Hosts {
		r.Hosts[i].HeartbeatPort, r.Hosts[i].NATSPort, r.Hosts[i].RoutesPort = f.heartbeat, f.nats, f.routes
	}
	for reads, names := range [][]string{f.operators, f.readers} {
		for _, name := range names {
			r.Operators = append(r.Operators, identity.Operator{Name: name, Reads: reads == 1})
		}
	}
	return r, nil
}

// hostsOf are the hosts of a cluster and their roles: controllers on control-plane nodes, the pool that announces, the voters.
func hostsOf(file *clusterfile.File) []identity.HostRequest {
	announces := event.RoleControlPlane
	for _, n := range file.Cluster.Nodes {
		if n.Role == event.RoleLoadBalancer {
			announces = event.RoleLoadBalancer
		}
	}
	voters := control.VoterHosts(file.Cluster, file.Settings)
	var all []identity.HostRequest
	add := func(h identity.HostRequest) {
		i := slices.IndexFunc(all, func(o identity.HostRequest) bool { return o.Address == h.Address })
		if i < 0 {
			all = append(all, h)
			return
		}
		all[i].Node, all[i].Controller = all[i].Node || h.Node, all[i].Controller || h.Controller
	}
	for _, n := range file.Cluster.Nodes {
		add(identity.HostRequest{
			Address: n.Address, Node: n.Role == announces, Controller: n.Role == event.RoleControlPlane, Voter: slices.Contains(voters, n.Address),
		})
	}
	for _, a := range voters {
		if !slices.ContainsFunc(all, func(h identity.HostRequest) bool { return h.Address == a }) {
			all = append(all, identity.HostRequest{Address: a, Voter: true})
		}
	}
	return all
}

// natsUsers are the users of a cluster's NATS, with the union of the rights of their roles.
func natsUsers(d identity.Directory) []jetstream.User {
	var users []jetstream.User
	for _, h := range d.Hosts {
		key := identity.Nkey(h.Key)
		rights := jetstream.HostPermissions(d.Cluster, key, h.Address)
		if h.Node {
			rights = rights.And(jetstream.NodePermissions(d.Cluster, key, h.Address))
		}
		if h.Controller {
			rights = rights.And(jetstream.ControllerPermissions(d.Cluster, key))
		}
		name := fmt.Sprintf("%s (%s): %s", h.Name, h.Address, strings.Join(h.Roles(), ", "))
		users = append(users, jetstream.User{Name: name, Key: key, Permissions: rights})
	}
	for _, o := range d.Operators {
		key := identity.Nkey(o.Key)
		rights, name := jetstream.OperatorPermissions(d.Cluster, key), "operator "+o.Name
		if o.Reads {
			rights, name = jetstream.ReaderPermissions(d.Cluster, key), "reader "+o.Name
		}
		users = append(users, jetstream.User{Name: name, Key: key, Permissions: rights})
	}
	return users
}

// natsServer are the options of a controller's embedded NATS.
func natsServer(i *identity.Identity, store string) jetstream.ServerOptions {
	self := i.Self
	o := jetstream.ServerOptions{
		Store: store, Name: "viplog-" + event.EscapeToken(self.Address.String()), Host: self.NATS.Addr().String(), Port: int(self.NATS.Port()),
		TLS: i.ServerTLS(), Users: natsUsers(i.Directory),
	}
	if len(i.Directory.Controllers()) > 1 {
		o.Cluster = &jetstream.ServerCluster{
			Name: "viplog-" + event.EscapeToken(i.Directory.Cluster), Host: self.Routes.Addr().String(), Port: int(self.Routes.Port()),
			Routes: i.Directory.RouteURLs(), TLS: i.RouteTLS(),
		}
	}
	return o
}

// natsReplicas are those of the log: three where three controllers keep it, else one.
func natsReplicas(d identity.Directory) int {
	if len(d.Controllers()) >= 3 {
		return 3
	}
	return 1
}

// externalConfig is a part of the configuration of a NATS that is not viplog's.
func externalConfig(d identity.Directory) string {
	return "# Users of the viplog cluster " + d.Cluster + " and their rights: generated by `viplog init`.\n" +
		"#\n" +
		"# Include this file in the configuration of your nats-server (2.12 or later), which also needs\n" +
		"#   jetstream: {store_dir: \"…\", sync_interval: always}\n" +
		"#   tls: {cert_file: \"…\", key_file: \"…\", ca_file: \"…\"}\n" +
		"# Hosts trust certificates that are signed by ca/ca.crt.\n" +
		jetstream.UsersConfig(natsUsers(d))
}

// completeNames completes the addresses of the cluster file.
func (f *initFlags) completeNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if file, err := f.read(strings.NewReader("")); err == nil {
		for _, n := range file.Cluster.Nodes {
			names = append(names, n.Address.String()+"=")
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeOperators completes the names in the folder's hosts.json.
func (f *initFlags) completeOperators(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if d, err := identity.ReadDirectory(filepath.Join(f.folder, "hosts.json")); err == nil {
		for _, o := range d.Operators {
			names = append(names, o.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
