package flowquake;

import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;

/**
 * The connection from this process to the watcher. A thread reports an event, and waits until the watcher
 * has confirmed it.
 *
 * <p>A message is a length (four bytes, big-endian) and so many bytes of text; the answer is one byte. Each thread has
 * its own connection, so no thread waits for the answer to another thread. If the watcher is gone, this process ends at
 * once, because it must not outlive the harness that started it.
 */
public final class Wire {
    /** The address on which the watcher listens. */
    private static final String SOCKET = System.getProperty("flowquake.socket");
    /** The cluster node that this process is. */
    private static final String NODE = System.getProperty("flowquake.node", "?");

    private static final ThreadLocal<SocketChannel> CONNECTION = new ThreadLocal<>();

    private Wire() {}

    /** Reports an event of this process, and waits until the watcher has confirmed it. */
    public static void tell(String kind, String source, String text) {
        exchange(kind, source, text, 1);
    }

    /** Asks from user code, and returns the answer, which has so many bytes; null: nobody is there to answer this thread. */
    static ByteBuffer ask(String source, String text, int bytes) {
        return exchange("user", source, text, bytes);
    }

    private static ByteBuffer exchange(String kind, String source, String text, int bytes) {
        if (SOCKET == null) {
            return null;
        }
        try {
            String message =
                    String.join("\t", kind, NODE, source, Thread.currentThread().getName(), text.replace('\n', ' '));
            return exchange(message, bytes);
        } catch (java.nio.channels.ClosedByInterruptException interrupted) {
            // The thread of a cancelled task: its connection is lost, and perhaps its report, too. No check needs
            // the reports of a thread that ends.
            CONNECTION.remove();
            Thread.currentThread().interrupt();
            return null;
        } catch (IOException gone) {
            Runtime.getRuntime().halt(70);
            return null;
        }
    }

    private static ByteBuffer exchange(String message, int bytes) throws IOException {
        boolean interrupted = Thread.interrupted();
        try {
            SocketChannel channel = CONNECTION.get();
            if (channel == null || !channel.isOpen()) {
                channel = SocketChannel.open(UnixDomainSocketAddress.of(SOCKET));
                CONNECTION.set(channel);
            }
            byte[] text = message.getBytes(StandardCharsets.UTF_8);
            ByteBuffer out = ByteBuffer.allocate(4 + text.length).putInt(text.length).put(text).flip();
            while (out.hasRemaining()) {
                channel.write(out);
            }
            ByteBuffer answer = ByteBuffer.allocate(bytes);
            while (answer.hasRemaining()) {
                if (channel.read(answer) < 0) {
                    throw new EOFException();
                }
            }
            return answer;
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
