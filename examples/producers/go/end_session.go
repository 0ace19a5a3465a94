// BROKER_URL=amqp://… go run end_session.go jwks.json genesys sessions.jwk < token
//
// It needs github.com/rabbitmq/amqp091-go and, among the worker's keys, one for RSA-OAEP-256: sealing for that one and
// signing take nothing but Go's own library.
package main

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/big"
	"os"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	algorithm      = "RSA-OAEP-256"
	confirmTimeout = 10 * time.Second
)

type jwk struct {
	Kty, Kid, Alg, N, E, D, X string
}

type object = map[string]any

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: end_session jwks.json PROVIDER signing.jwk < token")
	}
	token, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	if err := end(os.Args[1], os.Args[2], os.Args[3], strings.TrimSpace(token)); err != nil {
		log.Fatal(err)
	}
}

// end publishes the event that ends one session, and returns once it is safe in a queue. After an error: the same event,
// same id, again.
func end(jwksFile, provider, signingFile, token string) error {
	sealed, err := seal(jwksFile, provider, token)
	if err != nil {
		return err
	}
	body, err := json.Marshal(object{
		"specversion": "1.0",
		"id":          newID(),
		"source":      "urn:example:session-timeout-job",
		"type":        "session.ended",
		"time":        time.Now().UTC().Format(time.RFC3339Nano),
		"data": object{
			"sub_id":   object{"format": "email", "email": "ada.byron@example.com"},
			"sessions": []object{{"provider": provider, "credential": object{"jwe": sealed}}},
			"reason":   "idle-timeout",
		},
	})
	if err != nil {
		return err
	}
	signature, err := sign(body, signingFile)
	if err != nil {
		return err
	}
	return publish("session.ended", body, signature)
}

// seal returns the token as a compact JWE (RFC 7516) that only the worker can open, and only for this provider.
func seal(jwksFile, provider, token string) (string, error) {
	key, err := sealingKey(jwksFile)
	if err != nil {
		return "", err
	}
	header := encoded(object{"alg": algorithm, "enc": "A256GCM", "kid": key.Kid})
	payload, err := json.Marshal(object{"aud": provider, "token": token})
	if err != nil {
		return "", err
	}
	random := make([]byte, 32+12) // the content key, the initialization vector
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	contentKey, iv := random[:32], random[32:]
	public := &rsa.PublicKey{N: number(key.N), E: int(number(key.E).Int64())}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, contentKey, nil)
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(contentKey)
	if err != nil {
		return "", err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return "", err
	}
	sealed := gcm.Seal(nil, iv, payload, []byte(header))
	text, tag := sealed[:len(payload)], sealed[len(payload):]
	return strings.Join([]string{header, base64url(wrapped), base64url(iv), base64url(text), base64url(tag)}, "."), nil
}

func sealingKey(file string) (jwk, error) {
	var set struct{ Keys []jwk }
	content, err := os.ReadFile(file)
	if err != nil {
		return jwk{}, err
	}
	if err := json.Unmarshal(content, &set); err != nil {
		return jwk{}, fmt.Errorf("%s is no JWK Set", file)
	}
	for _, key := range set.Keys {
		if key.Alg == algorithm {
			return key, nil
		}
	}
	return jwk{}, fmt.Errorf("%s holds no key for %s", file, algorithm)
}

// sign returns the detached JWS (RFC 7515, appendix F) of exactly these bytes, by an Ed25519 key.
func sign(body []byte, file string) (string, error) {
	var key jwk
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(content, &key); err != nil {
		return "", fmt.Errorf("%s is no JWK", file)
	}
	seed, err := base64.RawURLEncoding.DecodeString(key.D)
	if err != nil || len(seed) != ed25519.SeedSize {
		return "", fmt.Errorf("%s is no Ed25519 key", file)
	}
	header := encoded(object{"alg": "EdDSA", "kid": key.Kid})
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte(header+"."+base64url(body)))
	return header + ".." + base64url(signature), nil
}

func publish(kind string, body []byte, signature string) error {
	connection, err := amqp.Dial(os.Getenv("BROKER_URL"))
	if err != nil {
		return err
	}
	defer connection.Close()
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	if err := channel.Confirm(false); err != nil {
		return err
	}
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	confirmed := channel.NotifyPublish(make(chan amqp.Confirmation, 1))
	message := amqp.Publishing{
		ContentType:  "application/cloudevents+json",
		DeliveryMode: amqp.Persistent,
		Headers:      amqp.Table{"x-revocation-signature": signature},
		Body:         body,
	}
	const mandatory, immediate = true, false
	err = channel.PublishWithContext(context.Background(), "revocation.events", kind, mandatory, immediate, message)
	if err != nil {
		return err
	}
	select {
	case confirmation := <-confirmed: // a return comes before it
		if !confirmation.Ack || len(returned) > 0 {
			return errors.New("no queue took the event: has the worker ever run on this broker?")
		}
		return nil
	case <-time.After(confirmTimeout):
		return errors.New("the broker does not confirm in time")
	}
}

func newID() string {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		log.Fatal(err)
	}
	return fmt.Sprintf("%x", random)
}

func number(text string) *big.Int {
	content, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		log.Fatal("the public key cannot be read")
	}
	return new(big.Int).SetBytes(content)
}

func encoded(header object) string {
	content, err := json.Marshal(header)
	if err != nil {
		log.Fatal(err)
	}
	return base64url(content)
}

func base64url(content []byte) string {
	return base64.RawURLEncoding.EncodeToString(content)
}
