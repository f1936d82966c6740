package clusterfile

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestAnExcerptSaysTheSameAndHoldsNothingElse(t *testing.T) {
	for _, path := range glob(t, "*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data := readFile(t, path)
			whole, err := Parse("f", data)
			if err != nil {
				t.Fatal(err)
			}
			excerpt, err := Excerpt(data, "")
			if err != nil {
				t.Fatal(err)
			}
			part, err := Parse("f", excerpt)
			if err != nil {
				t.Fatalf("%v\n%s", err, excerpt)
			}
			for _, f := range []*File{whole, part} { // lines are others
				f.Warnings, f.docs = nil, nil
			}
			if !reflect.DeepEqual(whole, part) {
				t.Errorf("the excerpt says something else:\n%+v\nand not\n%+v", part, whole)
			}
			for _, other := range []string{"Secret", "KeyPath", "proxy", "https://", "authentication", "nodeConfig", "#"} {
				if strings.Contains(string(excerpt), other) {
					t.Errorf("%q is left:\n%s", other, excerpt)
				}
			}
			again, err := Excerpt(excerpt, "")
			if err != nil || string(again) != string(excerpt) {
				t.Errorf("an excerpt of the excerpt is another one: %v\n%s", err, again)
			}
		})
	}
}

func TestAnExcerptMayNameTheClass(t *testing.T) {
	cluster := string(readFile(t, filepath.Join(fixtures, "hybrid-basic.yaml")))
	const settings = "\n---\napiVersion: viplog/v1\nkind: Settings\n"
	for name, own := range map[string]string{
		"no settings":    "",
		"no class":       settings + "profile: fast\n",
		"an empty class": settings + "loadBalancerClass: \"\"\n",
		"the same":       settings + "loadBalancerClass: example.com/viplog\n",
	} {
		excerpt, err := Excerpt([]byte(cluster+own), "example.com/viplog")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f, err := Parse("f", excerpt)
		if err != nil || f.Settings.LoadBalancerClass != "example.com/viplog" {
			t.Errorf("%s: %v\n%s", name, err, excerpt)
		}
	}
	if _, err := Excerpt([]byte(cluster+settings+"loadBalancerClass: other\n"), "example.com/viplog"); !errors.Is(err, ErrClass) {
		t.Errorf("another class: %v", err)
	}
}
