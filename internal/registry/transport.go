package registry

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Answers after which the same request may go through. 425 and 429, which say
// when, are patient's.
var (
	retriedCodes = []int{http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	backoff = remote.Backoff{Duration: 200 * time.Millisecond, Factor: 3, Jitter: 0.3, Steps: 5}
)

// patient waits as long as a registry asks for with Retry-After, and tries again.
type patient struct{ inner http.RoundTripper }

const (
	mostWaits   = 5
	longestWait = time.Minute
)

func (p *patient) RoundTrip(request *http.Request) (*http.Response, error) {
	for wait := 0; ; wait++ {
		response, err := p.inner.RoundTrip(request)
		if err != nil || wait == mostWaits ||
			response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusTooEarly {
			return response, err
		}
		if request.Body != nil && request.Body != http.NoBody {
			if request.GetBody == nil {
				return response, nil // a stream: the upload as a whole is tried again
			}
			body, err := request.GetBody()
			if err != nil {
				return response, nil
			}
			request = request.Clone(request.Context())
			request.Body = body
		}
		response.Body.Close()
		select {
		case <-time.After(retryAfter(response.Header.Get("Retry-After"), wait)):
		case <-request.Context().Done():
			return nil, request.Context().Err()
		}
	}
}

// retryAfter reads seconds or a date. https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func retryAfter(header string, wait int) time.Duration {
	asked := time.Second << wait
	if seconds, err := strconv.Atoi(header); err == nil {
		asked = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(header); err == nil {
		asked = time.Until(date)
	}
	return max(0, min(asked, longestWait))
}

func insecureTransport() http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // --insecure was asked for
	return transport
}

const mostSmall = 4 << 20

// readSmall reads a document and checks its digest.
func readSmall(content io.Reader, digest v1.Hash) ([]byte, error) {
	read, err := io.ReadAll(io.LimitReader(content, mostSmall+1))
	if err != nil {
		return nil, explain("reading "+digest.String(), err)
	}
	if len(read) > mostSmall {
		return nil, fmt.Errorf("reading %s: more than %d bytes", digest, mostSmall)
	}
	if got, _, err := v1.SHA256(bytes.NewReader(read)); err != nil || got != digest {
		return nil, fmt.Errorf("reading %s: its content has digest %s", digest, got)
	}
	return read, nil
}

// manifestBytes is a manifest as the pusher takes it.
type manifestBytes struct {
	content   []byte
	mediaType types.MediaType
}

func (m manifestBytes) RawManifest() ([]byte, error)        { return m.content, nil }
func (m manifestBytes) MediaType() (types.MediaType, error) { return m.mediaType, nil }

// artifactManifest writes an artifact's manifest, whose artifactType go-containerregistry's
// own type lacks.
func artifactManifest(artifact Artifact, config, document v1.Descriptor) (manifestBytes, v1.Hash, error) {
	content, err := json.Marshal(struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     types.MediaType   `json:"mediaType"`
		ArtifactType  string            `json:"artifactType"`
		Config        v1.Descriptor     `json:"config"`
		Layers        []v1.Descriptor   `json:"layers"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	}{2, types.OCIManifestSchema1, artifact.Type, config, []v1.Descriptor{document}, artifact.Annotations})
	if err != nil {
		return manifestBytes{}, v1.Hash{}, err
	}
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	return manifestBytes{content, types.OCIManifestSchema1}, digest, err
}
