package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"viplog/adapters/clusterfile"
	"viplog/adapters/httpd"
	"viplog/adapters/identity"
	"viplog/adapters/install"
	"viplog/adapters/staticpod"
)

// defaultNamespace is that of all that viplog has in a cluster.
const defaultNamespace = install.DefaultNamespace

// Values of --keys.
const (
	keysOnHosts   = "hosts"
	keysInSecrets = "secrets"
)

// manifestsFlags are those of `viplog manifests`.
type manifestsFlags struct {
	file, identities, image, class, keys string
	namespace, folder, data              string
	nats                                 string
	trustFeed                            bool
	http                                 string
	label                                bool
	dataPlane                            dataPlaneFlags
	frontend                             frontendFlags
	systemd                              bool
	output                               string
}

func newManifests(std streams) *cobra.Command {
	var flags manifestsFlags
	cmd := &cobra.Command{
		Use:   "manifests -f FILE --identity-dir DIR --image IMAGE",
		Short: "Print what runs viplog in a cluster, for `kubectl apply -f -`, or a unit for systemd",
		Long: "Prints everything that a cluster needs to run viplog: namespace, accounts, rights, the cluster file and hosts.json as ConfigMaps, and a\n" +
			"DaemonSet each for the hosts that are controllers and for the others. Hosts and their roles are those of `viplog init`, which has to have run\n" +
			"for the same file.\n\n" +
			"A host's private key is on no other host. With --keys hosts (the default) each host has its folder of `viplog init` in --identity,\n" +
			"where Pods mount it: copy it there first. With --keys secrets keys come from the Secrets of `viplog init --format secrets`, and each\n" +
			"host has a DaemonSet of its own, for the Node of that name (`viplog init --name ADDRESS=NODE`); those take a new version only when their Pods\n" +
			"are deleted, one after the other please.\n\n" +
			"Nothing is sent anywhere: the cluster file and hosts.json are printed, of the first only what viplog reads; keys are not.",
		Example: "  viplog manifests -f cluster.yaml --identity-dir identities --image registry.example.com/viplog:1.0 | kubectl apply -f -\n" +
			"  viplog manifests -f cluster.yaml --identity-dir identities --image registry.example.com/viplog:1.0 --class example.com/viplog\n" +
			"  viplog manifests --systemd > /etc/systemd/system/viplog.service",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runManifests(cmd, std, flags) },
	}
	f := cmd.Flags()
	f.StringVarP(&flags.file, "filename", "f", "", "the cluster file")
	f.StringVar(&flags.identities, "identity-dir", "", "folder that `viplog init` has made: its hosts.json is read")
	f.StringVar(&flags.image, "image", "", "image of viplog, whose entry point is viplog: there is no default")
	f.StringVar(&flags.class, "class", "", "serve Services of this loadBalancerClass only (default: what the Settings say, else those without one)")
	f.StringVar(&flags.keys, "keys", keysOnHosts, "where hosts' keys are: hosts, in --identity on each, or secrets")
	f.StringVar(&flags.namespace, "namespace", defaultNamespace, "namespace of viplog")
	f.StringVar(&flags.folder, "identity", install.DefaultIdentityFolder, "folder of a host's identity, on the host")
	f.StringVar(&flags.data, "data", install.DefaultDataFolder, "folder for what a host must not forget, on the host")
	f.StringVar(&flags.nats, "nats", "", "URL of the NATS servers to use instead of the controllers' own")
	f.BoolVar(&flags.trustFeed, "trust-feed", false, "with --nats: nobody else may publish there on viplog.*.feed.>")
	f.StringVar(&flags.http, "http", "127.0.0.1", "where a host tells of its health, and is asked by probes: an address, and a port if it is not 7480")
	f.BoolVar(&flags.label, "lbnode-label", true, "controllers label the nodes that carry addresses; without, label them "+install.LabelNode+"=true yourself")
	flags.dataPlane.add(cmd)
	flags.frontend.add(cmd)
	f.BoolVar(&flags.systemd, "systemd", false, "print a unit for hosts that run viplog by themselves")
	f.StringVarP(&flags.output, "output", "o", "yaml", "yaml or json")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml")
	for _, folder := range []string{"identity-dir", "identity", "data"} {
		_ = cmd.MarkFlagDirname(folder)
	}
	for name, values := range map[string][]string{"keys": {keysOnHosts, keysInSecrets}, "output": {"yaml", "json"}, "http": {"127.0.0.1", ":7480"}} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	for _, free := range []string{"image", "class", "namespace", "nats"} {
		_ = cmd.RegisterFlagCompletionFunc(free, cobra.NoFileCompletions)
	}
	return cmd
}

func runManifests(cmd *cobra.Command, std streams, flags manifestsFlags) error {
	options, err := flags.options()
	if err == nil {
		err = flags.fit(cmd.Flags().Changed)
	}
	if err != nil {
		return exitError{2, err}
	}
	if flags.systemd {
		for _, other := range []string{"filename", "identity-dir", "image", "class", "keys", "namespace", "lbnode-label", "output"} {
			if cmd.Flags().Changed(other) {
				return exitError{2, fmt.Errorf("--systemd and --%s: a unit knows nothing of that", other)}
			}
		}
		_, err := fmt.Fprint(std.out, install.Unit(options, install.DefaultBinary))
		return err
	}
	for name, value := range map[string]string{"filename": flags.file, "identity-dir": flags.identities, "image": flags.image} {
		if value == "" {
			return exitError{2, fmt.Errorf("--%s is required; see 'viplog manifests --help'", name)}
		}
	}
	if err := flags.read(std, &options); err != nil {
		return asFailure(err)
	}
	objects := install.Objects(options)
	encode := install.YAML
	if flags.output == "json" {
		encode = install.JSON
	}
	text, err := encode(objects)
	if err != nil {
		return failed(err)
	}
	_, err = std.out.Write(text)
	return err
}

// options are those that the flags alone say. Its errors are of usage.
func (f *manifestsFlags) options() (o install.Options, err error) {
	if f.output != "yaml" && f.output != "json" {
		return o, fmt.Errorf("output %q is unknown; use yaml or json", f.output)
	}
	if f.keys != keysOnHosts && f.keys != keysInSecrets {
		return o, fmt.Errorf("--keys %q: one of hosts, secrets is required", f.keys)
	}
	if errs := validation.IsDNS1123Label(f.namespace); len(errs) > 0 {
		return o, fmt.Errorf("--namespace %q: %s", f.namespace, strings.Join(errs, "; "))
	}
	for _, folder := range f.folders() {
		if err := folder.check(f.systemd); err != nil {
			return o, err
		}
	}
	if err := f.dataPlane.check(); err != nil {
		return o, err
	}
	o = install.Options{
		Namespace: f.namespace, Image: f.image, IdentityFolder: f.folder, DataFolder: f.data, NATS: f.nats, TrustFeed: f.trustFeed, LabelNodes: f.label,
		DataPlane: f.dataPlane.args(),
	}
	if f.keys == keysInSecrets {
		o.SecretOf = func(h install.Host) string { return secretName(h.Name) }
	}
	if o.HTTP, err = httpd.Address(f.http); err != nil {
		return o, fmt.Errorf("--http %w", err)
	}
	front, wanted, err := f.frontend.options()
	if err != nil || !wanted {
		return o, err
	}
	o.Frontend = &install.Frontend{Args: f.frontend.args(), Folders: staticpod.Folders(front)}
	return o, nil
}

// flagged is a folder of the host's, and the flag that names it.
type flagged struct {
	flag, path string
	beside     bool // viplog writes to the folder that it lies in
}

func (f *manifestsFlags) folders() []flagged {
	return []flagged{
		{"data", f.data, false},
		{"identity", f.folder, false},
		{"manifests-dir", f.frontend.manifests, true},
		{"frontend-dir", f.frontend.config, true},
		{"frontend-run-dir", f.frontend.run, true},
	}
}

// hidden are folders that a unit of systemd does not see, or sees empty ones instead of.
var hidden = []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp", "/dev"}

func (f flagged) check(unit bool) error {
	isIn := func(folder string) bool { return f.path == folder || strings.HasPrefix(f.path, folder+"/") }
	switch {
	case !filepath.IsAbs(f.path) || filepath.Clean(f.path) != f.path:
		return fmt.Errorf("--%s %q: a path from / on is required", f.flag, f.path)
	case f.path == "/" || f.beside && filepath.Dir(f.path) == "/":
		return fmt.Errorf("--%s %q: a folder in another one is required, which viplog has to itself", f.flag, f.path)
	case unit && slices.ContainsFunc(hidden, isIn):
		return fmt.Errorf("--%s %q: a unit does not see %s", f.flag, f.path, strings.Join(hidden, ", "))
	case !unit && (strings.Contains(f.path, ":") || strings.Contains(f.path, "$(")):
		return fmt.Errorf("--%s %q: Kubernetes takes no path with : or $(", f.flag, f.path)
	case !unit && slices.ContainsFunc(install.Mounted(), isIn):
		return fmt.Errorf("--%s %q: something else lies there in the Pod", f.flag, f.path)
	}
	return nil
}

// fit tells which flags do not go together, by which of them were given.
func (f *manifestsFlags) fit(given func(string) bool) error {
	if f.trustFeed && f.nats == "" {
		return errors.New("--trust-feed: it is about the servers of --nats")
	}
	if f.keys == keysInSecrets && given("identity") {
		return errors.New("--keys secrets and --identity: no host has a folder then")
	}
	if f.frontend.keepalived == "" {
		for _, flag := range []string{"image-mirror", "monitor-port", "manifests-dir", "frontend-dir", "frontend-run-dir"} {
			if given(flag) {
				return fmt.Errorf("--%s: it is about the front end, which needs --keepalived-image and --haproxy-image", flag)
			}
		}
	}
	if f.systemd {
		return nil
	}
	if strings.ContainsFunc(f.image, unicode.IsSpace) {
		return fmt.Errorf("--image %q: no image has such a name", f.image)
	}
	if a, err := httpd.Address(f.http); err == nil && (a.Port() == 0 || !a.Addr().IsLoopback() && !a.Addr().IsUnspecified()) {
		return fmt.Errorf("--http %q: all hosts listen there, and are asked: 127.0.0.1, or all of a host's addresses (:7480)", f.http)
	}
	return nil
}

// read takes the cluster file and its hosts, which have to be of the same cluster.
func (f *manifestsFlags) read(std streams, o *install.Options) error {
	data, err := os.ReadFile(f.file)
	if err != nil {
		return err
	}
	file, err := clusterfile.Parse(f.file, data)
	if err != nil {
		return err
	}
	for _, w := range file.Warnings {
		fmt.Fprintln(std.err, "warning:", w)
	}
	if file.Notice != "" {
		return exitError{3, errors.New(file.Notice)}
	}
	if o.ClusterFile, err = clusterfile.Excerpt(data, f.class); err != nil {
		return fmt.Errorf("%s: %w", f.file, err)
	}
	if _, err := clusterfile.Parse("what viplog reads of "+f.file, o.ClusterFile); err != nil {
		return err
	}
	path := filepath.Join(f.identities, identity.DirectoryFile)
	directory, err := identity.ReadDirectory(path)
	if err != nil {
		return err
	}
	if o.HostsFile, err = os.ReadFile(path); err != nil {
		return err
	}
	if err := agree(file, directory); err != nil {
		return fmt.Errorf("%s and %s: %w; run `viplog init` again", f.file, path, err)
	}
	o.Cluster = directory.Cluster
	for _, h := range directory.Hosts {
		if f.keys == keysInSecrets && h.Name == h.Address.String() {
			fmt.Fprintf(std.err, "warning: host %s has no name but its address: its Pod runs if that is its Kubernetes Node's name; else see `viplog init --name`\n", h.Address)
		}
		o.Hosts = append(o.Hosts, install.Host{Address: h.Address, Name: h.Name, Node: h.Node, Controller: h.Controller})
	}
	return nil
}

// agree wants the hosts of a directory to be those that a cluster file makes.
func agree(file *clusterfile.File, d identity.Directory) error {
	if d.Cluster != file.Cluster.Name {
		return fmt.Errorf("they are of two clusters, %s and %s", file.Cluster.Name, d.Cluster)
	}
	wanted := hostsOf(file)
	for _, want := range wanted {
		h, known := d.Host(want.Address)
		if !known {
			return fmt.Errorf("the second does not have host %s", want.Address)
		}
		if h.Node != want.Node || h.Controller != want.Controller || h.Voter != want.Voter {
			return fmt.Errorf("host %s has other roles in the second", want.Address)
		}
	}
	for _, h := range d.Hosts {
		if !slices.ContainsFunc(wanted, func(w identity.HostRequest) bool { return w.Address == h.Address }) {
			return fmt.Errorf("the first does not have host %s", h.Address)
		}
	}
	return nil
}
