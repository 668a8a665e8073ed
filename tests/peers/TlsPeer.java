import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

/** A TLS peer with the protocol and the suites that official servers offer by default: DIRECTORY ALGORITHM [PORT]. */
public final class TlsPeer {
    private static final String[] PROTOCOLS = {"TLSv1.2"};
    private static final String[] SUITES = {
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
        "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
    };
    private static final int[] SIZES = {1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 300, 1023, 1024, 16383, 16384, 16385, 1 << 20};

    public static void main(String[] args) throws Exception {
        SSLContext context = context(Path.of(args[0]), args[1]);
        if (args.length > 2) {
            for (int i = 0; i < 3; i++) {
                connect(context, Integer.parseInt(args[2]));
            }
        } else {
            serve(context);
        }
    }

    private static SSLContext context(Path directory, String algorithm) throws Exception {
        Certificate certificate;
        try (InputStream in = Files.newInputStream(directory.resolve("cert.der"))) {
            certificate = CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
        var spec = new PKCS8EncodedKeySpec(Files.readAllBytes(directory.resolve("key.der")));
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        char[] password = "peer".toCharArray();
        store.setKeyEntry("own", KeyFactory.getInstance(algorithm).generatePrivate(spec), password, new Certificate[] {certificate});
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, password);
        SSLContext context = SSLContext.getInstance("TLSv1.2");
        context.init(keys.getKeyManagers(), new TrustManager[] {new Anybody()}, null);
        return context;
    }

    private static void connect(SSLContext context, int port) throws IOException {
        var address = InetAddress.getByAddress(new byte[] {127, 0, 0, 1});
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(address, port)) {
            socket.setEnabledProtocols(PROTOCOLS);
            socket.setEnabledCipherSuites(SUITES);
            socket.setSoTimeout(30_000);
            InputStream in = new BufferedInputStream(socket.getInputStream());
            for (int size : SIZES) {
                byte[] body = new byte[size];
                Arrays.fill(body, (byte) size);
                send(socket, "POST / HTTP/1.1", "Host: peer\r\n", body);
                if (!Arrays.equals(receive(in, new StringBuilder()), body)) {
                    throw new IOException("another body came back: " + size);
                }
            }
            send(socket, "POST /peer HTTP/1.1", "Host: peer\r\n", new byte[0]);
            String peer = new String(receive(in, new StringBuilder()), StandardCharsets.US_ASCII);
            var session = socket.getSession();
            System.out.println(session.getProtocol() + " " + session.getCipherSuite() + " " + peer);
        }
    }

    private static void serve(SSLContext context) throws IOException {
        var address = InetAddress.getByAddress(new byte[] {127, 0, 0, 1});
        try (SSLServerSocket server =
                (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0, 50, address)) {
            server.setEnabledProtocols(PROTOCOLS);
            server.setEnabledCipherSuites(SUITES);
            server.setNeedClientAuth(true);
            System.out.println("listening " + server.getLocalPort());
            while (true) {
                try (SSLSocket socket = (SSLSocket) server.accept()) {
                    socket.setSoTimeout(30_000);
                    StringBuilder head = new StringBuilder();
                    byte[] body = receive(new BufferedInputStream(socket.getInputStream()), head);
                    if (body.length == 0) {
                        var session = socket.getSession();
                        String line = session.getProtocol() + " " + session.getCipherSuite()
                                + " certificates=" + session.getPeerCertificates().length;
                        body = line.getBytes(StandardCharsets.US_ASCII);
                    }
                    // Neither a length nor chunks: the end is the close_notify, as official servers do it.
                    var out = new ByteArrayOutputStream();
                    out.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
                    out.write(body);
                    socket.getOutputStream().write(out.toByteArray());
                } catch (IOException e) {
                    System.err.println(e);
                }
            }
        }
    }

    private static void send(SSLSocket socket, String line, String headers, byte[] body) throws IOException {
        var out = new ByteArrayOutputStream();
        String head = line + "\r\n" + headers + "Content-Length: " + body.length + "\r\n\r\n";
        out.write(head.getBytes(StandardCharsets.US_ASCII));
        out.write(body);
        socket.getOutputStream().write(out.toByteArray());
    }

    private static byte[] receive(InputStream in, StringBuilder head) throws IOException {
        while (head.indexOf("\r\n\r\n") < 0) {
            int next = in.read();
            if (next < 0) {
                throw new IOException("ended in the head");
            }
            head.append((char) next);
        }
        String lower = head.toString().toLowerCase();
        int at = lower.indexOf("content-length:");
        int length = at < 0 ? 0 : Integer.parseInt(lower.substring(at + 15, lower.indexOf('\r', at)).trim());
        return in.readNBytes(length);
    }

    /** Who may connect is not what is tested. */
    private static final class Anybody implements X509TrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) {
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) {
        }

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
