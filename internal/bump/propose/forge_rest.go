package propose

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// restForge calls the API of Forgejo or GitLab for a repository.
type restForge struct {
	hosting
	client *http.Client
	api    *url.URL // of the repository
}

const mostForgeBytes = 8 << 20 // of an answer, which contains bodies

// call calls the API for a path below the repository's. It sends asked as JSON, and reads the
// response into answer. Either may be nil.
func (f *restForge) call(ctx context.Context, method, path string, asked, answer any) (*http.Response, error) {
	var body io.Reader
	if asked != nil {
		content, err := json.Marshal(asked)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(content)
	}
	request, err := http.NewRequestWithContext(ctx, method, f.api.String()+"/"+path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "libre")
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content := http.MaxBytesReader(nil, response.Body, mostForgeBytes)
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, f.refusal(response.StatusCode, refusalText(content))
	}
	if answer == nil {
		return response, nil
	}
	if err := json.NewDecoder(content).Decode(answer); err != nil {
		return nil, fmt.Errorf("%s does not answer as its API should: %w", f.Server.Host, err)
	}
	return response, nil
}

// hasNext reports whether a list has another page. The server decides the length of a page.
func hasNext(response *http.Response) bool {
	return strings.Contains(response.Header.Get("Link"), `rel="next"`)
}

// refusalText returns the reason of a refusal, or "" if there is none. GitLab's message is a
// text, a list, or an object of lists by field. For a wrong parameter or scope it is in the
// field error.
// https://docs.gitlab.com/api/rest/troubleshooting/#status-codes
func refusalText(body io.Reader) string {
	var said struct {
		Message     any    `json:"message"`
		Error       any    `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.NewDecoder(body).Decode(&said) // anything except JSON has no message
	texts := slices.Concat(textsOf(said.Message), textsOf(said.Error), textsOf(said.Description))
	return strings.Join(texts, ": ")
}

// textsOf returns the texts in a JSON value. The texts in an object follow their key.
func textsOf(value any) []string {
	var all []string
	switch value := value.(type) {
	case string:
		if value != "" {
			all = append(all, value)
		}
	case []any:
		for _, one := range value {
			all = append(all, textsOf(one)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			all = append(all, key+" "+strings.Join(textsOf(value[key]), ", "))
		}
	}
	return all
}
