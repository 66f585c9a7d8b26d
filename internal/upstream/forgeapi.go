package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// readAPI reads a document of Forgejo's or GitLab's API into a value. If the status is not 200,
// it reads nothing, and the caller handles the status.
func (c *Client) readAPI(ctx context.Context, api *url.URL, where string, into any) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", userAgent)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return response, nil
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, response.Body, mostRefBytes)).Decode(into); err != nil {
		return nil, fmt.Errorf("%s does not answer as its API should: %w", api.Host, err)
	}
	return response, nil
}

// hasNext reports whether a list has another page. The addresses in the header are not used.
func hasNext(response *http.Response) bool {
	return strings.Contains(response.Header.Get("Link"), `rel="next"`)
}
