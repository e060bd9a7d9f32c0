package flowquake;

import java.io.Serializable;
import org.apache.logging.log4j.core.Appender;
import org.apache.logging.log4j.core.Core;
import org.apache.logging.log4j.core.Filter;
import org.apache.logging.log4j.core.Layout;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;
import org.apache.logging.log4j.core.config.plugins.Plugin;
import org.apache.logging.log4j.core.config.plugins.PluginAttribute;
import org.apache.logging.log4j.core.config.plugins.PluginElement;
import org.apache.logging.log4j.core.config.plugins.PluginFactory;

/** An appender that sends each log line to the watcher. The logging thread waits until the watcher confirmed it. */
@Plugin(name = "LogLine", category = Core.CATEGORY_NAME, elementType = Appender.ELEMENT_TYPE)
public final class LogLine extends AbstractAppender {
    private LogLine(String name, Filter filter) {
        super(name, filter, null, true, Property.EMPTY_ARRAY);
    }

    @PluginFactory
    public static LogLine create(@PluginAttribute("name") String name, @PluginElement("Filter") Filter filter) {
        return new LogLine(name, filter);
    }

    @Override
    public void append(LogEvent event) {
        String logger = event.getLoggerName();
        String text = event.getMessage().getFormattedMessage();
        Throwable thrown = event.getThrown();
        if (thrown != null) {
            Throwable root = thrown;
            while (root.getCause() != null && root.getCause() != root) {
                root = root.getCause();
            }
            text += root == thrown ? " [" + root + "]" : " [" + root + "] in [" + thrown + "]";
        }
        Wire.tell("log", logger.substring(logger.lastIndexOf('.') + 1), text);
    }
}
