package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/fx"

	"viplog/adapters/httpd"
	"viplog/adapters/identity"
	"viplog/adapters/replica"
)

const (
	stopHandsOver = "hand-over"
	stopKeeps     = "keep"
)

// hostFlags are those of the commands that run a host's processes.
type hostFlags struct {
	config    string
	identity  string
	hosts     string
	data      string
	roles     []string
	nodeName  string
	onStop    string
	services  string
	nats      string
	trustFeed bool
	logFormat string
	http      string
	kube      kubeFlags
	dataPlane dataPlaneFlags
	frontend  frontendFlags
}

func newRun(std streams) *cobra.Command {
	var flags hostFlags
	cmd := &cobra.Command{
		Use:   "run --identity DIR",
		Short: "Run what this host is for: node, controller and voter, in one process",
		Long: "Runs the roles that the identity's folder gives this host (see `viplog init`), or some of them:\n" +
			"  node        answers for addresses\n" +
			"  controller  runs the log's NATS server, applies files and tells the log who failed\n" +
			"  voter       grants leases to nodes, and proves them dead\n" +
			"A stop by SIGTERM hands addresses over to other nodes first; with --on-stop=keep, and after a crash, they wait for\n" +
			"this host's next process for as long as a lease lasts. A new address of a Kubernetes Service is announced when this host's kube-proxy serves it\n" +
			"(--data-plane). With images for it the control plane's front end is kept here as static Pods, if this\n" +
			"host is to carry the control plane's VIP (see `viplog render`). Every flag may also stand in a file (--config): `data: /srv/viplog`.",
		Example: "  viplog run --identity /etc/viplog --data /var/lib/viplog\n  viplog run --identity /etc/viplog --roles node,voter",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runHost(cmd, std, &flags, flags.roles) },
	}
	flags.add(cmd)
	cmd.Flags().StringSliceVar(&flags.roles, "roles", nil, "some of the host's roles: node, controller, voter (default all that it has)")
	_ = cmd.RegisterFlagCompletionFunc("roles", cobra.FixedCompletions(allRoles, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func newNode(std streams) *cobra.Command {
	var flags hostFlags
	cmd := &cobra.Command{
		Use:   "node --identity DIR",
		Short: "Run a load-balancer node: answer for the addresses that it owns; and vote, if the host is a voter",
		Long: "Runs the roles node and voter of this host, as `viplog run` does. Packet sockets need CAP_NET_RAW; CAP_SYS_NICE keeps a\n" +
			"busy host from being taken for dead.",
		Example: "  viplog node --identity /etc/viplog --node-name lb-1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runHost(cmd, std, &flags, []string{identity.RoleNode, identity.RoleVoter})
		},
	}
	flags.add(cmd)
	return cmd
}

func newController(std streams) *cobra.Command {
	var flags hostFlags
	cmd := &cobra.Command{
		Use:   "controller --identity DIR",
		Short: "Run a controller: the log's NATS server, files and Kubernetes as sources, and who failed; and vote, if the host is a voter and no node",
		Long: "Runs the role controller of this host, and voter if the host is not a node, as `viplog run` does. Of three controllers or more\n" +
			"the first three run NATS servers, which hold the log together; any other NATS is named by --nats. With --kube or --kubeconfig Services\n" +
			"of the Kubernetes cluster get addresses, and show them; of several controllers one at a time writes there.",
		Example: "  viplog controller --identity /etc/viplog --services /etc/viplog/services\n" +
			"  viplog controller --identity /etc/viplog --kubeconfig /etc/kubernetes/viplog.conf --cluster-configmap viplog",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runHost(cmd, std, &flags, []string{identity.RoleController})
		},
	}
	flags.add(cmd)
	return cmd
}

var allRoles = []string{identity.RoleNode, identity.RoleController, identity.RoleVoter}

func (f *hostFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.config, "config", "", "file of flags, as YAML: those on the command line come first")
	cmd.Flags().StringVar(&f.identity, "identity", "/etc/viplog", "the host's folder, as `viplog init` made it")
	cmd.Flags().StringVar(&f.hosts, "hosts", "", "file that is read, and followed, instead of the folder's hosts.json")
	cmd.Flags().StringVar(&f.data, "data", "/var/lib/viplog", "folder for what the host must not forget")
	cmd.Flags().StringVar(&f.nodeName, "node-name", "", "the Kubernetes Node's name (default: $NODE_NAME, else the host's name)")
	cmd.Flags().StringVar(&f.onStop, "on-stop", stopHandsOver, "hand-over: other nodes take the addresses first; keep: they wait for the next process")
	cmd.Flags().StringVar(&f.services, "services", "", "folder of Service manifests that a controller applies, now and whenever they change")
	cmd.Flags().StringVar(&f.nats, "nats", "", "URL of the NATS servers to use instead of the controllers' own")
	cmd.Flags().BoolVar(&f.trustFeed, "trust-feed", false, "with --nats: nobody else may publish there on viplog.*.feed.>, so what is pushed can be believed")
	cmd.Flags().StringVar(&f.logFormat, "log", "json", "json or text, on standard error")
	cmd.Flags().StringVar(&f.http, "http", "", "address to tell at, by /healthz and /readyz, whether this host goes on and is ready, like 127.0.0.1 (port 7480) or :8080 (default: none)")
	f.kube.add(cmd)
	f.dataPlane.add(cmd)
	f.frontend.add(cmd)
	_ = cmd.MarkFlagFilename("hosts", "json")
	_ = cmd.RegisterFlagCompletionFunc("http", cobra.FixedCompletions([]string{"127.0.0.1", ":7480"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("on-stop", cobra.FixedCompletions([]string{stopHandsOver, stopKeeps}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("log", cobra.FixedCompletions([]string{"json", "text"}, cobra.ShellCompDirectiveNoFileComp))
	for _, folder := range []string{"identity", "data", "services"} {
		_ = cmd.MarkFlagDirname(folder)
	}
}

// runHost runs some roles of the host until a signal comes, or one of its parts fails.
func runHost(cmd *cobra.Command, std streams, flags *hostFlags, wanted []string) error {
	if err := readConfig(cmd, flags.config); err != nil {
		return exitError{2, err}
	}
	if flags.onStop != stopHandsOver && flags.onStop != stopKeeps {
		return exitError{2, fmt.Errorf("--on-stop %q is unknown; use %s or %s", flags.onStop, stopHandsOver, stopKeeps)}
	}
	if err := flags.dataPlane.check(); err != nil {
		return exitError{2, err}
	}
	lines := newLogWriter(std.err)
	defer lines.close()
	logger, err := newLogger(lines, flags.logFormat)
	if err != nil {
		return exitError{2, err}
	}
	hosts := cmp.Or(flags.hosts, filepath.Join(flags.identity, identity.DirectoryFile))
	who, err := identity.ReadWith(flags.identity, hosts)
	if err != nil {
		return failed(err)
	}
	roles, err := rolesOf(who, wanted)
	if err != nil {
		return failed(err)
	}
	options := hostOptions{
		roles: roles, hosts: hosts, data: flags.data, nodeName: flags.nodeName, keep: flags.onStop == stopKeeps,
		services: flags.services, nats: flags.nats, trustFeed: flags.trustFeed, dataPlane: flags.dataPlane,
		kube: flags.kube.options(),
	}
	if flags.http != "" {
		if options.http, err = httpd.Address(flags.http); err != nil {
			return exitError{2, fmt.Errorf("--http %w", err)}
		}
	}
	if front, wanted, err := flags.frontend.options(); err != nil {
		return exitError{2, err}
	} else if wanted {
		options.frontend = &front
	}
	logger = logger.With("host", who.Self.Address)
	type deps struct {
		fx.In
		Agents  *hostAgents
		Sources *hostSources
		HTTP    *hostHTTP
	}
	err = withApp(cmd.Context(), func(ctx context.Context, d deps) error {
		logger.Info("viplog runs", "version", version, "cluster", who.Directory.Cluster, "roles", roles.String())
		defer logger.Info("viplog stops", "on-stop", flags.onStop)
		return d.Agents.wait(ctx)
	}, hostParts(who, options, logger, std))
	if err != nil && !(errors.Is(err, context.Canceled) && cmd.Context().Err() != nil) { // it was told to stop while it started
		return asFailure(err)
	}
	return nil
}

// rolesOf are the host's roles among those that are wanted; none: all.
func rolesOf(who *identity.Identity, wanted []string) (hostRoles, error) {
	self := who.Self
	has := hostRoles{node: self.Node, controller: self.Controller, voter: self.Voter}
	if !self.Address.IsValid() {
		return hostRoles{}, errors.New("this identity is an operator's; a host's is needed: see hosts/ in the folder that `viplog init` made")
	}
	for _, role := range wanted {
		if !slices.Contains(allRoles, role) {
			return hostRoles{}, fmt.Errorf("role %q is unknown; use some of %s", role, strings.Join(allRoles, ", "))
		}
	}
	wants := func(role string) bool { return len(wanted) == 0 || slices.Contains(wanted, role) }
	roles := hostRoles{node: has.node && wants(identity.RoleNode), controller: has.controller && wants(identity.RoleController)}
	// A controller by itself votes where no node of the host does.
	roles.voter = has.voter && (wants(identity.RoleVoter) || roles.controller && !has.node)
	if roles == (hostRoles{}) {
		return roles, fmt.Errorf("host %s has the roles %s, and none of %s", self.Address, has, strings.Join(wanted, ", "))
	}
	return roles, nil
}

// wait goes on until a signal comes or a part fails.
func (a *hostAgents) wait(ctx context.Context) error {
	notify, stop := context.WithCancel(ctx)
	defer stop()
	go notifySystemd(notify, a.logger, a.goOn)
	select {
	case err := <-a.failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// goOn tells whether each machine of this host gets to do what it is to do.
func (a *hostAgents) goOn(ctx context.Context) (err error) {
	if a.node != nil {
		err = errors.Join(err, a.node.Responds(ctx))
	}
	if a.voter != nil {
		err = errors.Join(err, a.voter.Responds(ctx))
	}
	if a.controller != nil {
		err = errors.Join(err, a.controller.Responds(ctx))
	}
	return err
}

// isReady tells whether this host does its part: each of its machines follows the log, which can be reached, and its node may answer.
func (a *hostAgents) isReady(ctx context.Context) (err error) {
	if !a.log.conn.IsConnected() {
		err = errors.New("the log's servers cannot be reached")
	}
	said := func(role string, is error) {
		if is != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", role, is))
		}
	}
	if a.node != nil {
		said(identity.RoleNode, a.node.Ready(ctx))
	}
	if a.voter != nil {
		said(identity.RoleVoter, a.voter.Ready(ctx))
	}
	if a.controller != nil {
		said(identity.RoleController, a.controller.Ready(ctx))
	}
	return err
}

func newLogger(to io.Writer, format string) (*slog.Logger, error) {
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(to, nil)), nil
	case "text":
		return slog.New(slog.NewTextHandler(to, nil)), nil
	}
	return nil, fmt.Errorf("--log %q is unknown; use json or text", format)
}

func isRejected(err error) bool { return errors.Is(err, replica.ErrRejected) }
