package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// securityHeaders go with every answer, the backend's too: whatever it sends is
// of the same origin as the pages. The policy allows scripts, styles, pictures
// and connections of this origin only, and nothing inline.
var securityHeaders = map[string]string{
	"Content-Security-Policy":    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
	"Cross-Origin-Opener-Policy": "same-origin",
	"Referrer-Policy":            "same-origin",
	"X-Content-Type-Options":     "nosniff",
}

// secure adds securityHeaders to every answer of next.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range securityHeaders {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// newProxy passes requests on to backend with their path unchanged, and answers
// 502 in JSON while the backend cannot be reached.
func newProxy(backend *url.URL) http.Handler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the backend is near; HTTP_PROXY is not meant for it
	transport.ResponseHeaderTimeout = 30 * time.Second
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(backend)
			r.SetXForwarded()
		},
		// secure has set these; the proxy would add the backend's to them.
		ModifyResponse: func(response *http.Response) error {
			for name := range securityHeaders {
				response.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil { // else the client has gone away
				log.Printf("passing a request on to the backend: %v", err)
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, `{"error":"the backend does not answer"}`+"\n")
		},
	}
}
