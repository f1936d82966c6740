package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"viplog/adapters/identity"
)

// identitiesView is what `viplog init` has made and found.
type identitiesView struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Cluster    string         `json:"cluster"`
	Folder     string         `json:"folder"`
	Items      []identityView `json:"items"`
}

// identityView is a host or an operator. Address is "" for an operator.
type identityView struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	Roles   []string `json:"roles"` // node, controller, voter, operator, reader
	Key     string   `json:"key"`
	State   string   `json:"state"`   // new, kept, changed, renewed, dropped
	Expires string   `json:"expires"` // RFC 3339; "" for what was dropped
	Folder  string   `json:"folder"`
}

// TableHeader names the columns.
func (identityView) TableHeader(wide bool) []string {
	header := []string{"NAME", "ADDRESS", "ROLES", "STATE", "EXPIRES", "FOLDER"}
	if wide {
		header = append(header, "KEY")
	}
	return header
}

// TableRow gives the cells.
func (v identityView) TableRow(wide bool) []string {
	day, _, _ := strings.Cut(v.Expires, "T")
	row := []string{v.Name, v.Address, strings.Join(v.Roles, ","), v.State, day, v.Folder}
	if wide {
		row = append(row, v.Key)
	}
	return row
}

func viewOfIdentity(folder string, item identity.Item) identityView {
	v := identityView{State: item.State, Folder: filepath.Join(folder, item.Folder)}
	if !item.Expires.IsZero() {
		v.Expires = item.Expires.UTC().Format(time.RFC3339)
	}
	if h := item.Host; h.Address.IsValid() {
		v.Name, v.Address, v.Roles, v.Key = h.Name, h.Address.String(), h.Roles(), identity.Nkey(h.Key)
		return v
	}
	o := item.Operator
	v.Name, v.Roles, v.Key = o.Name, []string{"operator"}, identity.Nkey(o.Key)
	if o.Reads {
		v.Roles = []string{"reader"}
	}
	return v
}

func printIdentities(std streams, f initFlags, d identity.Directory, items []identity.Item) error {
	view := identitiesView{APIVersion: apiVersion, Kind: "IdentityList", Cluster: d.Cluster, Folder: f.folder, Items: []identityView{}}
	for _, item := range items {
		v := viewOfIdentity(f.folder, item)
		view.Items = append(view.Items, v)
		if item.State == identity.StateDropped {
			fmt.Fprintf(std.err, "%s is dropped from hosts.json; %s stays, and whoever has it gets in until every host has the new hosts.json\n", v.Name, v.Folder)
		}
	}
	if n := len(d.Controllers()); n > 1 {
		fmt.Fprintf(std.err, "note: %d controllers keep the log; when it starts for the first time all of them have to run, later %d\n", n, n/2+1)
	}
	if f.output == "json" || f.output == "yaml" {
		return printObject(std.out, f.output, view)
	}
	return printTable(std.out, view.Items, f.output == "wide")
}

// writeSecrets writes a Secret for each host, with the files of its folder.
func writeSecrets(folder, namespace string, d identity.Directory) error {
	for _, h := range d.Hosts {
		secret := corev1.Secret{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{
				Name: secretName(h.Name), Namespace: namespace,
				Labels: map[string]string{"app.kubernetes.io/name": "viplog", "app.kubernetes.io/component": "identity"},
			},
			Type: corev1.SecretTypeOpaque,
			Data: map[string][]byte{},
		}
		for _, name := range identity.Files() {
			data, err := os.ReadFile(filepath.Join(folder, identity.HostFolder(h.Address), name))
			if err != nil {
				return err
			}
			secret.Data[name] = data
		}
		text, err := yaml.Marshal(secret)
		if err != nil {
			return err
		}
		if err := identity.WriteFile(filepath.Join(folder, "secrets", h.Name+".yaml"), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// secretName is that of a host's: names and addresses of IPv4 may stand in it as they are.
func secretName(host string) string { return "viplog-" + strings.ReplaceAll(host, ":", "-") }
