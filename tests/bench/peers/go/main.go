// A signing reverse proxy for Go: httputil.ReverseProxy, a transport that keeps connections, crypto/rsa.
package main

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"
)

const (
	algorithm = "Wonder-RSA-SHA256"
	alphabet  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func setting(name string) string { return os.Getenv("WONDER_SIGNER_" + name) }

func newNonce() string {
	nonce, random := make([]byte, 0, 16), make([]byte, 24)
	for {
		must(rand.Read(random)) // without randomness there is no going on
		for _, b := range random {
			if b < 248 { // the greatest multiple of 62, so that each character is equally likely
				if nonce = append(nonce, alphabet[b%62]); len(nonce) == 16 {
					return string(nonce)
				}
			}
		}
	}
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func sign(r *http.Request, body []byte, appID string, key *rsa.PrivateKey) error {
	nonce, now := newNonce(), time.Now().UTC().Format("20060102150405")
	k2 := mac(mac([]byte(nonce), []byte(now)), []byte(algorithm))
	parts := [][]byte{[]byte(r.Method + "\n" + r.URL.RequestURI())}
	if len(body) > 0 {
		parts = append(parts, []byte("\n"), body)
	}
	digest := sha256.Sum256([]byte(hex.EncodeToString(mac(k2, parts...))))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		return err
	}
	r.Header.Set("Credential", appID+"/"+now+"/"+algorithm)
	r.Header.Set("Nonce", nonce)
	r.Header.Set("Signature", base64.StdEncoding.EncodeToString(signature))
	r.Header.Del("X-Skip-Signature")
	return nil
}

func main() {
	origin := must(url.Parse(setting("UPSTREAM__ORIGIN")))
	appID := setting("CREDENTIALS__DEFAULT__APP_ID")
	block, _ := pem.Decode([]byte(setting("CREDENTIALS__DEFAULT__PRIVATE_KEY")))
	key := must(x509.ParsePKCS8PrivateKey(block.Bytes)).(*rsa.PrivateKey)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(setting("UPSTREAM__CA_FILE"))))
	proxy := &httputil.ReverseProxy{
		Director: func(r *http.Request) {
			r.URL.Scheme, r.URL.Host, r.Host = origin.Scheme, origin.Host, origin.Host
			r.Header["X-Forwarded-For"] = nil // who calls is nothing to upstream
		},
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots},
			MaxIdleConnsPerHost: 256,
			DisableCompression:  true, // answers pass as they are
		},
	}
	serve := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "body", http.StatusRequestEntityTooLarge)
		} else if err = sign(r, body, appID, key); err != nil {
			http.Error(w, "signature", http.StatusInternalServerError)
		} else {
			r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
			proxy.ServeHTTP(w, r)
		}
	}
	log.Fatal(http.ListenAndServe(setting("LISTEN__ADDRESS"), http.HandlerFunc(serve)))
}
