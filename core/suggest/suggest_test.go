package suggest

import "testing"

func TestClosestNamesTheFieldThatWasMeant(t *testing.T) {
	known := []string{"address", "k8sIP", "controlPlaneVIP", "ingressVIP", "mode", "ip"}
	for name, want := range map[string]string{
		"adress":          "address",
		"addres":          "address",
		"adderss":         "address",
		"k8sip":           "k8sIP",
		"controlPlaneVip": "controlPlaneVIP",
		"ingresVIP":       "ingressVIP",
		"mod":             "mode",
		"node":            "mode",
		"IP":              "ip",
		"op":              "",
		"weight":          "",
		"":                "",
	} {
		if got := Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
