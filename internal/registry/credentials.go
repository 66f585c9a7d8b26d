package registry

import "github.com/google/go-containerregistry/pkg/name"

// hubHost is where docker.io answers requests.
const hubHost = "registry-1.docker.io"

// Credentials returns the login to a registry, for a program that libre gives it to; both are ""
// if none is known. A token has no user. Logins to a namespace only are left out.
func (c *Client) Credentials(host string) (user, password string, err error) {
	if host == hubHost {
		host = name.DefaultRegistry
	}
	registry, err := name.NewRegistry(host, c.names...)
	if err != nil {
		return "", "", err
	}
	found, err := c.keys.Resolve(registry)
	if err != nil {
		return "", "", err
	}
	login, err := found.Authorization()
	if err != nil {
		return "", "", err
	}
	if login.IdentityToken != "" {
		return "", login.IdentityToken, nil
	}
	return login.Username, login.Password, nil
}
