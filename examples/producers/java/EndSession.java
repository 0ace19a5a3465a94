// BROKER_URL=amqp://… java -cp 'amqp-client.jar:gson.jar:slf4j-api.jar' EndSession.java jwks.json genesys sessions.jwk < token
//
// Java 17. It needs com.rabbitmq:amqp-client, com.google.code.gson:gson and, among the worker's keys, one for
// RSA-OAEP-256: sealing for that one and signing take nothing but Java's own library.

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Address;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.ListAddressResolver;
import java.io.IOException;
import java.math.BigInteger;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.spec.EdECPrivateKeySpec;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.NamedParameterSpec;
import java.security.spec.RSAPublicKeySpec;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;

public final class EndSession {
  private static final String ALGORITHM = "RSA-OAEP-256";
  private static final String TYPE = "session.ended";
  private static final int CONFIRM_TIMEOUT = 10_000; // milliseconds
  private static final Base64.Encoder BASE64URL = Base64.getUrlEncoder().withoutPadding();
  private static final SecureRandom RANDOM = new SecureRandom();

  public static void main(String[] arguments) throws Exception {
    if (arguments.length != 3) {
      System.err.println("usage: EndSession jwks.json PROVIDER signing.jwk < token");
      System.exit(2);
    }
    String provider = arguments[1];
    String token = new String(System.in.readAllBytes(), StandardCharsets.UTF_8).strip();
    String jwe = seal(token, provider, sealingKey(read(arguments[0])));
    byte[] body = new Gson().toJson(Map.of(
        "specversion", "1.0",
        "id", UUID.randomUUID().toString(),
        "source", "urn:example:session-timeout-job",
        "type", TYPE,
        "time", Instant.now().toString(),
        "data", Map.of(
            "sub_id", Map.of("format", "email", "email", "ada.byron@example.com"),
            "sessions", new Object[] {Map.of("provider", provider, "credential", Map.of("jwe", jwe))},
            "reason", "idle-timeout"))).getBytes(StandardCharsets.UTF_8);
    publish(body, sign(body, read(arguments[2])));
  }

  /** The token as a compact JWE (RFC 7516) that only the worker can open, and only for this provider. */
  private static String seal(String token, String provider, JsonObject jwk) throws GeneralSecurityException {
    String header = encoded(Map.of("alg", ALGORITHM, "enc", "A256GCM", "kid", jwk.get("kid").getAsString()));
    byte[] contentKey = random(32);
    byte[] iv = random(12);
    Cipher rsa = Cipher.getInstance("RSA/ECB/OAEPPadding");
    rsa.init(Cipher.ENCRYPT_MODE, publicKey(jwk), new OAEPParameterSpec(
        "SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT));
    Cipher aes = Cipher.getInstance("AES/GCM/NoPadding");
    aes.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(contentKey, "AES"), new GCMParameterSpec(128, iv));
    aes.updateAAD(header.getBytes(StandardCharsets.US_ASCII));
    byte[] sealed = aes.doFinal(json(Map.of("aud", provider, "token", token)));
    int end = sealed.length - 16; // the tag stands last
    String text = base64url(Arrays.copyOfRange(sealed, 0, end));
    String tag = base64url(Arrays.copyOfRange(sealed, end, sealed.length));
    return String.join(".", header, base64url(rsa.doFinal(contentKey)), base64url(iv), text, tag);
  }

  private static JsonObject sealingKey(JsonObject jwks) {
    JsonArray keys = jwks.getAsJsonArray("keys");
    for (JsonElement each : keys) {
      if (ALGORITHM.equals(each.getAsJsonObject().get("alg").getAsString())) {
        return each.getAsJsonObject();
      }
    }
    throw new IllegalArgumentException("the JWK Set holds no key for " + ALGORITHM);
  }

  private static PublicKey publicKey(JsonObject jwk) throws GeneralSecurityException {
    RSAPublicKeySpec numbers = new RSAPublicKeySpec(number(jwk, "n"), number(jwk, "e"));
    return KeyFactory.getInstance("RSA").generatePublic(numbers);
  }

  /** The detached JWS (RFC 7515, appendix F) of exactly these bytes, by an Ed25519 key. */
  private static String sign(byte[] body, JsonObject jwk) throws GeneralSecurityException {
    String header = encoded(Map.of("alg", "EdDSA", "kid", jwk.get("kid").getAsString()));
    EdECPrivateKeySpec secret = new EdECPrivateKeySpec(NamedParameterSpec.ED25519, bytes(jwk, "d"));
    Signature signature = Signature.getInstance("Ed25519");
    signature.initSign(KeyFactory.getInstance("Ed25519").generatePrivate(secret));
    signature.update((header + "." + base64url(body)).getBytes(StandardCharsets.US_ASCII));
    return header + ".." + base64url(signature.sign());
  }

  /** Returns once the event is safe in a queue. After an exception: the same event, same id, again. */
  private static void publish(byte[] body, String signature) throws Exception {
    ConnectionFactory factory = new ConnectionFactory();
    factory.setUri(System.getenv("BROKER_URL"));
    if (factory.isSSL()) {
      factory.useSslProtocol(SSLContext.getDefault()); // the system's authorities
      factory.setSocketConfigurator(EndSession::checkHostName); // neither is checked by default
    }
    Address byName = new Address(factory.getHost(), factory.getPort()); // not by IP address, or no name could be checked
    try (Connection connection = factory.newConnection(new ListAddressResolver(List.of(byName)));
        Channel channel = connection.createChannel()) {
      AtomicBoolean returned = new AtomicBoolean();
      channel.addReturnListener(message -> returned.set(true));
      channel.confirmSelect();
      AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder()
          .contentType("application/cloudevents+json")
          .deliveryMode(2) // persistent
          .headers(Map.of("x-revocation-signature", signature))
          .build();
      channel.basicPublish("revocation.events", TYPE, true, properties, body); // true: mandatory
      channel.waitForConfirmsOrDie(CONFIRM_TIMEOUT);
      if (returned.get()) { // a return comes before its confirm
        throw new IOException("no queue took the event: has the worker ever run on this broker?");
      }
    }
  }

  private static void checkHostName(Socket socket) {
    if (socket instanceof SSLSocket tls) {
      SSLParameters parameters = tls.getSSLParameters();
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      tls.setSSLParameters(parameters);
    }
  }

  private static JsonObject read(String file) throws IOException {
    return JsonParser.parseString(Files.readString(Path.of(file))).getAsJsonObject();
  }

  private static BigInteger number(JsonObject jwk, String member) {
    return new BigInteger(1, bytes(jwk, member));
  }

  private static byte[] bytes(JsonObject jwk, String member) {
    return Base64.getUrlDecoder().decode(jwk.get(member).getAsString());
  }

  private static byte[] random(int size) {
    byte[] content = new byte[size];
    RANDOM.nextBytes(content);
    return content;
  }

  private static String encoded(Map<String, String> header) {
    return base64url(json(header));
  }

  private static byte[] json(Map<String, String> members) {
    return new Gson().toJson(members).getBytes(StandardCharsets.UTF_8);
  }

  private static String base64url(byte[] content) {
    return BASE64URL.encodeToString(content);
  }
}
