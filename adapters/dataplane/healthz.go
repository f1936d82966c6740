package dataplane

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// DefaultHealthz is where kube-proxy answers by default (--healthz-bind-address).
const DefaultHealthz = "127.0.0.1:10256"

// health is an answer of kube-proxy's /healthz.
type health struct {
	isHealthy bool
	hasNone   bool             // it is of one that says no stamps
	stamps    map[string]stamp // by family
}

// stamp is the end of a sync.
type stamp struct {
	at  time.Time     // by the clock of kube-proxy
	age time.Duration // when it answered
}

// answer is the JSON of /healthz.
type answer struct {
	CurrentTime string `json:"currentTime"`
	Healthy     *bool  `json:"healthy"` // like status since v1.33 (kubernetes #129271); until then the time was as Go prints it, not as in RFC 3339
	Eligible    *bool  `json:"nodeEligible"`
	Status      map[string]struct {
		LastUpdated time.Time `json:"lastUpdated"`
	} `json:"status"`
}

// patience is how long an answer may take.
const patience = time.Second

var client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConns: 1, IdleConnTimeout: time.Minute}} // by no proxy

// ask asks kube-proxy at a host and port. One that is not healthy has answered; the error is of one that does not, or not as kube-proxy does.
func ask(ctx context.Context, address string) (health, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return health{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return health{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return health{}, err
	}
	return parse(response.StatusCode, body)
}

func parse(code int, body []byte) (health, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil || a.CurrentTime == "" || code != http.StatusOK && code != http.StatusServiceUnavailable {
		return health{}, fmt.Errorf("/healthz answers as no kube-proxy does: %d: %.100q", code, body)
	}
	if a.Healthy == nil {
		return health{isHealthy: code == http.StatusOK || a.Eligible != nil && !*a.Eligible, hasNone: true}, nil
	}
	h := health{isHealthy: *a.Healthy, stamps: map[string]stamp{}}
	now, err := time.Parse(time.RFC3339Nano, a.CurrentTime)
	if err != nil {
		return health{}, fmt.Errorf("/healthz: currentTime: %w", err)
	}
	for family, s := range a.Status {
		h.stamps[family] = stamp{s.LastUpdated, now.Sub(s.LastUpdated)}
	}
	return h, nil
}
